"""A figure and how it is known, in words: the one place that every output takes both from.

A number is ``measured`` (a device ran the model), ``simulated`` (a model of a device answered), ``modelled`` (computed
from figures of a device, such as watts times latency) or ``predicted`` (added up from a table before the model
existed). Which of them it is follows from the provenance that came with it, never from a device's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
_STATISTICS = {"quiet_min": "quiet"}
KINDS = ("measured", "simulated", "modelled", "predicted", UNKNOWN)


@dataclass(frozen=True)
class Figure:
    """A number with its unit, how it is known, and which statistic it is (``median``, ``quiet``, ...).

    >>> str(Figure(0.21342, "ms", "measured", "median"))
    '0.2134 ms (measured, median)'
    >>> str(Figure(1.5, "mJ", "modelled", "above idle"))
    '1.5 mJ (modelled, above idle)'
    """

    value: float | None
    unit: str
    kind: str
    statistic: str = ""

    def __str__(self) -> str:
        number = "unknown" if self.value is None else f"{self.value:.4g} {self.unit}"
        return f"{number} ({self.words})"

    @property
    def words(self) -> str:
        """``measured, median``."""
        return ", ".join(filter(None, (known(self.kind), self.statistic)))


def known(kind: str | None) -> str:
    """The kind itself, or that it is not told."""
    return kind if kind in KINDS and kind != UNKNOWN else "of unknown origin"


def kind_of(provenance: Mapping[str, Any] | None) -> str:
    """The kind of a provenance as documents hold it.

    >>> kind_of({"kind": "simulated", "device": "edgetpu-sim"}), kind_of(None)
    ('simulated', 'unknown')
    """
    kind = str((provenance or {}).get("kind") or UNKNOWN)
    return kind if kind in KINDS else UNKNOWN


def predicted_figure(value: float | None, unit: str, provenance: Mapping[str, Any]) -> Figure:
    """What a table or a simulation tells of a model that was not run: predicted, or as its provenance says.

    What a table predicts is ``modelled`` in documents, since it is added up from measurements; people read predicted.

    >>> str(predicted_figure(0.2, "ms", {"kind": "modelled", "statistic": "quiet_min"}))
    '0.2 ms (predicted, quiet)'
    >>> str(predicted_figure(0.2, "ms", {"kind": "simulated", "statistic": "simulated"}))
    '0.2 ms (simulated)'
    """
    kind = kind_of(provenance)
    asked = provenance.get("statistic") in KINDS  # the device itself computed it: there is no table between
    kind = kind if asked or kind == "simulated" else "predicted"
    return Figure(value, unit, kind, statistic_of(provenance))


def statistic_of(provenance: Mapping[str, Any]) -> str:
    """The statistic of a figure in one word; empty where a device always gives the same number.

    >>> statistic_of({"kind": "measured", "statistic": "quiet_min"}), statistic_of({"statistic": "simulated"})
    ('quiet', '')
    """
    statistic = str(provenance.get("statistic") or "")
    return "" if statistic in KINDS else _STATISTICS.get(statistic, statistic)


def common_kind(kinds: Iterable[str]) -> str:
    """The kind of several figures: what they share, else ``unknown``.

    >>> common_kind(["measured", "measured"]), common_kind(["measured", "simulated"])
    ('measured', 'unknown')
    """
    found = set(kinds)
    return found.pop() if len(found) == 1 else UNKNOWN


def origin(kind: str | None, device: str) -> str:
    """Where a figure comes from.

    >>> origin("measured", "pi"), origin("simulated", "edgetpu-sim"), origin("modelled", "pi")
    ('measured on pi', 'simulated for edgetpu-sim', 'modelled for pi')
    """
    return f"{known(kind)} {place(kind, device)}"


def place(kind: str | None, device: str) -> str:
    """``on`` a device that ran it, ``for`` one that was computed."""
    return f"{'for' if kind in ('simulated', 'modelled', 'predicted') else 'on'} {device}"
