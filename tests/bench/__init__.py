"""Figures beside what they are compared with, from the same run on the same machine: quote ratios, not absolutes."""
