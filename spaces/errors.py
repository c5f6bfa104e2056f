"""The two ways in which work ends early, shared by all floors.

The command line turns them into exit codes: :class:`InputError` into 2, :class:`WorkError` into 1.
"""

from __future__ import annotations


class EdgeNASError(Exception):
    """Base of every error that is meant to be read by a user rather than debugged.

    ``problems`` holds the lines of an error that tells of several things at once; else there is one, the message.
    """

    def __init__(self, *arguments: object, problems: tuple[str, ...] = ()) -> None:
        super().__init__(*(arguments or (("\n".join(problems),) if problems else ())))
        self.problems = problems or (str(self),)


class InputError(EdgeNASError, ValueError):
    """What the user gave is wrong: the message names the file and key, what was found, and the fix."""


class WorkError(EdgeNASError, RuntimeError):
    """Correct input, but the work failed: the message says what is saved and how to resume."""
