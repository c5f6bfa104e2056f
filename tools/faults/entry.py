"""The command line with stand-ins: ``python -m faults.entry STAND_IN ARGUMENTS``; in a forked child, :func:`call`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def call(argv: Sequence[str], stand_in: str = "none") -> int:
    """Calls the console script's function with these arguments and returns its exit code; other errors pass."""
    from edgenas.cli import main
    from faults.stand_ins import install

    install(stand_in)
    sys.argv = ["edgenas", *argv]
    try:
        main()
    except SystemExit as end:
        if end.code is None:
            return 0
        if isinstance(end.code, int):
            return end.code
        print(end.code, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(call(sys.argv[2:], sys.argv[1]))
