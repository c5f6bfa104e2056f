"""``python -m edgenas``: the same as the console script."""

from edgenas.cli import main

main()
