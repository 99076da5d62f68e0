"""`python -m emboscope.cli` is the command line."""

from emboscope.cli import main

main()
