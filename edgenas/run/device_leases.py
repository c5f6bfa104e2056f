"""The devices of a run whose study is shared are leased in it while they are measured on.

Locks of this machine keep its own processes apart (:mod:`edgenas.devices.lock`); a lease does so for those of other
machines. There is none before the study is begun: the profile of who begins it is measured without one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from edgenas.devices.lock import THIS_MACHINE, leasing, patience_seconds
from edgenas.run.shared import study_url
from edgenas.spaces.errors import EdgeNASError
from edgenas.study.errors import NoStudyError
from edgenas.study.leases import Lease
from edgenas.study.store import StudyStore, open_study

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

_LOG = logging.getLogger("edgenas.devices")


@contextmanager
def leased_devices(context: RunContext) -> Iterator[None]:
    """A context in which measurements hold leases in the run's study, where it has a shared one."""
    if context.recipe.search.study is None:
        yield
        return
    with ExitStack() as ending:
        leases = _Leases(context, ending)
        with leasing(leases):
            yield


class _Leases:
    """Gives the lease for a device's measurements; opens the study when the first is asked for."""

    def __init__(self, context: RunContext, ending: ExitStack) -> None:
        self._context = context
        self._ending = ending
        self._store: StudyStore | None = None

    def __call__(self, device: str, name: str) -> AbstractContextManager[Any]:
        if name == THIS_MACHINE:
            return nullcontext()
        store = self._opened(device)
        if store is None:
            return nullcontext()
        return Lease(store, name, patience_seconds=patience_seconds(), say=self._context.progress.say)

    def _opened(self, device: str) -> StudyStore | None:
        if self._store is None:
            url = study_url(self._context.recipe)
            try:
                self._store = open_study(url, self._context.progress.say)
            except NoStudyError:
                return None
            except EdgeNASError as error:
                _LOG.warning("%r is not leased: see that nobody else measures on it meanwhile (%s)", device, error)
                return None
            self._ending.callback(self._store.close)
        return self._store
