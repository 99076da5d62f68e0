"""`python -m emboscope` is the command line."""

from emboscope.cli import main

main()
