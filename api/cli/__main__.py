"""`python -m api.cli`: the command, where it is not installed."""

from api.cli import main

main()
