"""The command line. :func:`main` is the console script ``edgenas``.

Exit codes: 0 done, 1 the work failed, 2 the input is wrong. Data goes to standard output, everything else to
standard error. Command modules import what they need inside the commands, so that ``edgenas --help`` stays quick.
"""

from __future__ import annotations

import sys

from edgenas.cli.app import app
from edgenas.cli.signals import Interrupts
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.streams import keep_streams_open

__all__ = ["main"]


def main() -> None:
    """Runs the command line and exits with its code."""
    streams = sys.stdout, sys.stderr
    keep_streams_open()
    try:
        with Interrupts() as interrupts:
            code = _exit_code(interrupts)
    finally:
        sys.stdout, sys.stderr = streams
    sys.exit(code)


def _exit_code(interrupts: Interrupts) -> int:
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except EdgeNASError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as end:  # how the command line's parser says that it is done
        if interrupts.received is not None and end.code not in (0, None):
            return _interrupted()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _interrupted() -> int:
    print("interrupted; a run continues with: edgenas run RECIPE --resume", file=sys.stderr)
    return 1
