"""Random lives: the service is killed, starved and cut off at every step, and must lose and double nothing.

`make faults` runs a thousand; the suite runs a few of them at a fixed seed.
"""
