"""The command line. :func:`main` is the console script ``edgenas``.

Exit codes: 0 done, 1 the work failed, 2 the input is wrong. Data goes to standard output, everything else to
standard error. Command modules import what they need inside the commands, so that ``edgenas --help`` stays quick.
"""

from __future__ import annotations

import errno
import sys

from edgenas.cli.app import app, hoisted
from edgenas.cli.output import printable_output
from edgenas.cli.signals import Interrupts
from edgenas.run.disk import is_full, no_space
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.text import one_line
from edgenas.streams import keep_streams_open

__all__ = ["main"]

#: Errors that a path on the command line causes, rather than the machine.
_WRONG_NAMES = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)


def main() -> None:
    """Runs the command line and exits with its code."""
    streams = sys.stdout, sys.stderr
    keep_streams_open()
    printable_output()
    try:
        with Interrupts() as interrupts:
            code = _exit_code(interrupts)
    finally:
        sys.stdout, sys.stderr = streams
    sys.exit(code)


def _exit_code(interrupts: Interrupts) -> int:
    try:
        try:
            app(args=hoisted(sys.argv[1:]))
        finally:
            sys.stdout.flush()
    except EdgeNASError as error:
        for problem in error.problems:
            print(f"error: {one_line(problem)}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return _interrupted()
    except OSError as error:
        if is_full(error):
            print(f"error: {one_line(no_space(error.filename or 'a file'))}", file=sys.stderr)
            return 1
        # Whatever file it is, the user knows it better than a traceback would tell.
        name = "" if error.filename is None else f"{error.filename}: "
        print(f"error: {one_line(f'{name}{error.strerror or error}')}", file=sys.stderr)
        return 2 if error.errno in _WRONG_NAMES else 1
    except SystemExit as end:  # how the command line's parser says that it is done
        if interrupts.received is not None and end.code not in (0, None):
            return _interrupted()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _interrupted() -> int:
    print("interrupted; a run continues with: edgenas run RECIPE --resume", file=sys.stderr)
    return 1
