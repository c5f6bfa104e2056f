"""What the blocks of a table say about operators, and what they don't: where the error of an interpolation holds.

An operator is *in range* when the table's blocks have many of its kind, some of them of its very form (types of
activations and weights, kernel, stride, dilation), and it is no larger and no smaller than they are. Of anything else
nobody knows how wrong a prediction is, and :meth:`MeasuredRange.why_outside` says in words what is strange about it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from edgenas.latency.predict.operators import OperatorWork

#: Fewer operators of a kind say nothing about others of it.
_LEAST_OF_A_KIND = 10
_SHOWN = 4
#: Operators that run other graphs, as often as the data want.
CONTROL_FLOW = frozenset(
    {"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE"}
)


class MeasuredRange:
    """The kinds, forms and sizes of the operators of measured blocks."""

    def __init__(self, blocks: Iterable[Sequence[OperatorWork]]) -> None:
        self._forms: dict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
        self._amounts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for works in blocks:
            for work in works:
                self._forms[work.kind].add(work.form)
                for name, amount in _amounts(work).items():
                    self._amounts[work.kind][name].append(amount)

    def why_outside(self, work: OperatorWork) -> str | None:
        """Why the table's errors do not hold for an operator, without its name; None where they do."""
        if work.name in CONTROL_FLOW:
            return "control flow: how often its graphs run is not known, and they are not counted"
        if work.is_custom:
            return "a custom operator, which was not measured"
        if (mixed := _mixed_types(work)) is not None:
            return f"{mixed}: not measured in this precision"
        if work.kind not in self._forms:
            return self._why_kind(work)
        if work.form not in self._forms[work.kind]:
            return self._why_form(work, self._forms[work.kind])
        return self._why_size(work)

    def _why_kind(self, work: OperatorWork) -> str:
        alike = [kind for kind in self._forms if kind.partition("/")[0] == work.name]
        if not alike:
            return "no measured block has this operator"
        forms = set.union(*(self._forms[kind] for kind in alike))
        return self._why_form(work, forms)

    @staticmethod
    def _why_form(work: OperatorWork, measured: set[tuple[tuple[str, str], ...]]) -> str:
        """The first part of the form that no measured operator has; else it is the combination."""
        for name, value in work.form:
            known = sorted({dict(form).get(name, "none") for form in measured})
            if value not in known:
                shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
                precision = " in this precision" if name in ("activations", "weights", "output") else ""
                return f"{name} {value} was not measured{precision} (measured: {shown})"
        form = ", ".join(f"{name} {value}" for name, value in work.form)
        return f"{work.kind} was not measured with {form}"

    def _why_size(self, work: OperatorWork) -> str | None:
        known = self._amounts[work.kind]
        for name, amount in _amounts(work).items():
            least, most = min(known[name]), max(known[name])
            if not least <= amount <= most:
                return f"{amount:,} {name} are beyond those measured ({least:,} to {most:,})"
            if len(known[name]) < _LEAST_OF_A_KIND:
                return f"only {len(known[name])} operators of the kind {work.kind} were measured"
        return None


def outside_words(works: Iterable[OperatorWork], measured: MeasuredRange) -> list[str]:
    """Why the errors do not hold for a model, one line a reason, with the operators that it is about."""
    by_reason: dict[tuple[str, str], list[int]] = defaultdict(list)
    for work in works:
        reason = measured.why_outside(work)
        if reason is not None:
            by_reason[work.name, _general(reason)].append(work.index)
    counted = Counter({key: len(indices) for key, indices in by_reason.items()})
    return [f"{_places(name, by_reason[name, reason])}: {reason}" for (name, reason), _ in counted.most_common()]


def _amounts(work: OperatorWork) -> dict[str, int]:
    amounts = {"input bytes": work.input_bytes, "output bytes": work.output_bytes}
    if work.macs:
        amounts |= {"multiply-accumulates": work.macs, "parameter bytes": work.parameter_bytes}
    return amounts


def _mixed_types(work: OperatorWork) -> str | None:
    """Weights of another type than the activations, in words; None where they are alike."""
    form = dict(work.form)
    activations, weights = form.get("activations"), form.get("weights")
    if weights is None or weights == activations or "hybrid" not in work.kind:
        return None
    kind = " (dynamic range)" if activations == "FLOAT32" and weights.startswith("INT") else ""
    return f"{weights} weights between {activations} activations{kind}"


def _general(reason: str) -> str:
    """One reason for all operators that are too large, whatever the numbers."""
    if "beyond those measured" not in reason:
        return reason
    _, _, what = reason.partition(" ")
    return what


def _places(name: str, indices: Sequence[int]) -> str:
    shown = ", ".join(map(str, indices[:_SHOWN])) + (", ..." if len(indices) > _SHOWN else "")
    return f"{name} (operator{'s' if len(indices) > 1 else ''} {shown})"
