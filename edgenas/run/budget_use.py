"""How much of each budget the shipped model uses, and why not more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgenas.export.figure import Figure
from edgenas.run.records import BudgetRange
from edgenas.study.cost_names import split_name, unit_of
from edgenas.study.study import Trial

#: A use below this is explained.
_NEARLY_ALL = 0.97


@dataclass(frozen=True)
class BudgetUse:
    """One budgeted cost of the shipped model.

    Attributes:
        name: the cost, with its device where there are several.
        limit: the budget.
        searched_limit: what the search kept predictions under: the budget less what is kept free for errors.
        most: the most that an architecture of the space is predicted at; None where that is not known.
        predicted: of the shipped trial, None where nothing predicts it.
        found: what the shipped file takes, and ``kind`` how that is known (``measured``, ``simulated``, ...).
        between: complete trials that use more of the budget than the shipped one by prediction, and keep it.
        best: the most accurate of them.
        shipped_score: accuracy of the shipped trial in the search, which these are compared with.
        over: candidates that were better and turned out over a budget, or not accurate enough, when exported.
        only: whether this network was given, and nothing else was looked at.
    """

    name: str
    limit: float
    searched_limit: float
    most: float | None
    predicted: float | None
    found: float
    kind: str
    between: int = 0
    best: Trial | None = None
    shipped_score: float | None = None
    over: int = 0
    only: bool = False

    @property
    def binds(self) -> bool:
        """Whether any architecture of the space is over what the search allows."""
        return self.most is None or self.searched_limit < self.most

    @property
    def words(self) -> str:
        """One sentence: the shares, and what keeps them from 100 %."""
        cost, device = split_name(self.name)
        unit = unit_of(self.name)
        found = _amount(self.found, unit)
        if self.kind != "counted":
            found = f"{found} ({Figure(self.found, unit, self.kind).words})"
        predicted = "" if self.predicted is None else f", {self.predicted / self.limit:.0%} predicted"
        return (
            f"{device and f'{device}: '}{cost} uses {self.found / self.limit:.0%} of its budget of "
            f"{_amount(self.limit, unit)}: {found}{predicted}{self._why()}"
        )

    def _why(self) -> str:
        if self.found / self.limit >= _NEARLY_ALL:
            return ""
        if self.only:
            return "; nothing was searched: this network was given"
        if not self.binds:
            most = _amount(self.most or 0.0, unit_of(self.name))
            return f"; why not more: the budget never binds, no architecture of the space is predicted over {most}"
        reasons = []
        if self.searched_limit < self.limit * (1 - 1e-9):
            free = 1 - self.searched_limit / self.limit
            reasons.append(f"{free:.0%} of it is kept free, because predictions err and devices are disturbed")
        if self.best is not None and self.best.score is not None and self.shipped_score is not None:
            trials = "1 trial that uses" if self.between == 1 else f"{self.between} trials that use"
            reasons.append(
                f"{trials} more of it reached a {self.best.metric} of at most {self.best.score:.3f} (trial "
                f"{self.best.number}), the shipped one {self.shipped_score:.3f}"
            )
        else:
            reasons.append("no trial that uses more of it was evaluated")
        if self.over:
            reasons.append(f"{self.over} better ranked {'trial was' if self.over == 1 else 'trials were'} rejected")
        return f"; why not more: {'; '.join(reasons)}"

    def to_json(self) -> dict[str, Any]:
        """For ``metrics.json`` and the run's state: shares of the budget, and ``words``."""
        best = self.best and {"trial": self.best.number, "top1": self.best.score}
        return {
            "limit": self.limit,
            "searched_limit": self.searched_limit,
            "most": self.most,
            "binds": self.binds,
            "predicted_share": None if self.predicted is None else self.predicted / self.limit,
            "found_share": self.found / self.limit,
            "kind": self.kind,
            "trials_between": self.between,
            "best_between": best,
            "rejected": self.over,
            "words": self.words,
        }


def budget_uses(
    shipped: Trial,
    trials: Iterable[Trial],
    *,
    limits: Mapping[str, float],
    searched_limits: Mapping[str, float],
    found: Mapping[str, tuple[float, str]],
    ranges: Mapping[str, BudgetRange],
    rejected: Sequence[int] = (),
    only: bool = False,
) -> list[BudgetUse]:
    """One for each budgeted cost.

    Args:
        shipped: the trial whose network is shipped.
        trials: all trials of the search.
        limits: the budgets by name of the cost.
        searched_limits: the limits on predictions.
        found: what the shipped file takes of each, and how that is known.
        ranges: of the space, where known.
        rejected: numbers of the trials that were tried and not shipped.
        only: whether the shipped network was given instead of searched for.
    """
    complete = [one for one in trials if one.score is not None and one.number != shipped.number]
    complete = [one for one in complete if one.state == "complete" and one.number not in rejected]
    uses = []
    for name, limit in limits.items():
        predicted = shipped.predicted.get(name)
        searched = searched_limits.get(name, limit)
        between = [
            one
            for one in complete
            if predicted is not None and predicted < one.predicted.get(name, float("nan")) <= searched
        ]
        value, kind = found[name]
        most = ranges[name].most if name in ranges else None
        uses.append(
            BudgetUse(
                name=name,
                limit=limit,
                searched_limit=searched,
                most=None if most is None else float(most),
                predicted=predicted,
                found=value,
                kind=kind,
                between=len(between),
                best=max(between, key=lambda one: (one.score or 0.0, -one.number), default=None),
                shipped_score=shipped.score,
                over=len(rejected),
                only=only,
            )
        )
    return uses


def _amount(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.4g}"
    return f"{number} {unit}".rstrip()
