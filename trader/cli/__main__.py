"""``python -m trader.cli`` is the command too."""

from trader.cli.main import main

main()
