"""`python -m atm` is `atm`."""

from atm.cli import main

main()
