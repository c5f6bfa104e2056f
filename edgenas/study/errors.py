"""What can be wrong with the place of a study: told apart by type, since some of it passes."""

from __future__ import annotations

from edgenas.spaces.errors import InputError, WorkError


class NoStudyError(InputError):
    """There is no study at this place yet: nobody has begun it, or it is another place's."""


class StudyExistsError(InputError):
    """There is a study at this place already."""


class UnreachableError(InputError):
    """Nobody answers at this place: a server that is down, or a wrong address."""


class NameInUseError(InputError):
    """Another process works in the study under this name."""


class NumberTakenError(WorkError):
    """Somebody else has started a trial of this number meanwhile."""


class LostTrialError(WorkError):
    """The trial is somebody else's by now: its worker was not heard of for too long."""


class LostLeaseError(WorkError):
    """A lease is somebody else's by now: its holder was not heard of for too long."""
