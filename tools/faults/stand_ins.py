"""What is replaced in a command under test, so that it ends before the work that takes minutes.

``none``
    Nothing.
``accept``
    A run ends with ``accepted`` where its first candidate would be trained, or a device be measured: everything that
    can be wrong in recipe, space, table and data has been checked by then.
``formula``
    Candidates are judged by a formula (:class:`faults.evaluators.Formula`) instead of a training; all else is real.
``instant``
    The same, and workers are forked from the warm process.
``instant-ship``
    The same, and instead of training and shipping a trial, its number and architecture are printed.
``fill``
    As ``formula``, and the disk is filled when a step begins (:mod:`faults.filling`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from faults.evaluators import Formula

NAMES = ("none", "accept", "formula", "instant", "instant-ship", "fill")
#: What ``instant-ship`` prints before the trial and its architecture.
SHIPPED = "would ship"


def install(name: str) -> None:
    """Puts the stand-ins of that name into this process. Raises KeyError for an unknown name."""
    stand_ins: dict[str, Callable[[], None]] = {
        "none": lambda: None,
        "accept": _accept,
        "formula": _formula,
        "instant": _instant,
        "instant-ship": _instant_ship,
        "fill": _fill,
    }
    stand_ins[name]()


def _accept() -> None:
    from edgenas.run import pipeline, profile

    _replace(pipeline, "search", _accepted)
    _replace(profile, "measured_table", _accepted)


def _accepted(*arguments: Any, **options: Any) -> NoReturn:
    print("accepted")
    sys.exit(0)


def _instant() -> None:
    from edgenas.study import evaluation, workers

    formula = Formula.from_environment()
    _replace(evaluation, "ShortTrainingEvaluator", lambda recipe, *rest: formula)
    _replace(workers, "_CONTEXT", multiprocessing.get_context("fork"))


def _formula() -> None:
    from edgenas.study import evaluation

    formula = Formula.from_environment()
    _replace(evaluation, "ShortTrainingEvaluator", lambda recipe, *rest: formula)


def _instant_ship() -> None:
    from edgenas.run import best as shipping
    from edgenas.run import pipeline

    def ship(context: Any, number: int) -> NoReturn:
        """Instead of the training: everything before it was done, and is looked at."""
        with contextlib.closing(context.open_study()) as study:
            trial = study.trial(number)
        context.space.decode(context.space.parse(trial.architecture))
        print(SHIPPED, trial.number, trial.architecture)
        sys.exit(0)

    def ship_best(context: Any) -> NoReturn:
        with contextlib.closing(context.open_study()) as study:
            best = study.ranking[0].number
        ship(context, best)

    _instant()
    _replace(pipeline, "ship_best", ship_best)
    _replace(shipping, "_trained", ship)


def _fill() -> None:
    from edgenas.export.bundle import bundle
    from edgenas.run import context as steps
    from faults.filling import Filling

    filling = Filling.from_environment()
    _formula()
    step = steps.RunContext.step

    def filling_step(self: Any, kind: Any) -> Any:
        if kind.step == filling.point:
            filling.fill()
        return step(self, kind)

    _replace(steps.RunContext, "step", filling_step)
    if filling.point == "bundle":
        write = bundle.write_bundle

        def filling_write(*arguments: Any, **options: Any) -> Any:
            filling.fill()
            return write(*arguments, **options)

        _replace(bundle, "write_bundle", filling_write)


def _replace(owner: Any, name: str, value: Any) -> None:
    """Like ``setattr``, but what is replaced has to be there: otherwise the stand-in would silently do nothing."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner.__name__} has no {name!r} any more: adapt tools/faults/stand_ins.py")
    setattr(owner, name, value)
