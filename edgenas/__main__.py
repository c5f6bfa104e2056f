"""``python -m edgenas``: the same as the console script."""

from edgenas.cli import main

if __name__ == "__main__":
    main()
