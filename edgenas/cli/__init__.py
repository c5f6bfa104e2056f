"""The command line. :func:`main` is the console script ``edgenas``.

Exit codes: 0 done, 1 the work failed, 2 the input is wrong. Data goes to standard output, everything else to
standard error. Command modules import what they need inside the commands, so that ``edgenas --help`` stays quick.
"""

from __future__ import annotations

import sys

from edgenas.cli.app import app
from edgenas.spaces.errors import EdgeNASError, InputError

__all__ = ["main"]


def main() -> None:
    """Runs the command line and exits with its code."""
    try:
        app()
    except EdgeNASError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        print("interrupted; a run continues with: edgenas run RECIPE --resume", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Standard output is gone, so nothing may be flushed at exit.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        from edgenas.run.disk import is_full, no_space

        if not is_full(error):
            raise
        print(f"error: {no_space(error.filename or 'a file')}", file=sys.stderr)
        sys.exit(1)
