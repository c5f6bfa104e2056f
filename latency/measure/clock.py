"""The clock of a session's minutes, from the reference model's times on the visits around.

Two things move the anchor's time: the CPU's clock, in steps that last for minutes, and whoever shares the core or its
caches just now. Only the first is the same for what is measured beside it. So the *clock* of a visit is what the faster
anchors of the visits before and after it reached, and models follow it nearly in proportion; what the visit's own
anchor took beyond that they follow in part.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: Anchors of so many visits before and after a group of as many tell its clock; this share of them was faster.
_GROUP = 30
_FASTER = 0.1
#: By these powers models follow the clock (in regressions over visits to networks of 0.5 to 40 ms: 0.7 to 1.1 in int8,
#: 0.3 to 0.7 in float32, which waits for memory) and what a visit's own anchor took beyond it (0.3 to 0.6).
_FOLLOWS_CLOCK, _FOLLOWS_VISIT = 0.65, 0.4


@dataclass
class Clock:
    """The fastest anchor of each visit in ms, in the order of visits."""

    anchors_ms: list[float] = field(default_factory=list)
    _known: dict[tuple[int, int, float], float] = field(default_factory=dict)

    def note(self, anchor_ms: float) -> int:
        """The place of a new visit."""
        self.anchors_ms.append(anchor_ms)
        return len(self.anchors_ms) - 1

    def at(self, place: int, limit_ms: float) -> float:
        """What the anchor takes at the clock of a visit, in ms, from quiet visits: those within ``limit_ms``."""
        group = place // _GROUP
        first, end = max(group - 1, 0) * _GROUP, min((group + 2) * _GROUP, len(self.anchors_ms))
        key = (group, end, limit_ms)
        if key not in self._known:
            quiet = [anchor for anchor in self.anchors_ms[first:end] if anchor <= limit_ms]
            if quiet:
                self._known[key] = float(np.quantile(quiet, _FASTER))
            else:  # nobody knows: as it was before
                self._known[key] = self.at(first - 1, limit_ms) if first else limit_ms
        return self._known[key]

    def factor(self, place: int, reference_ms: float, limit_ms: float) -> float:
        """What a long model's time on a visit is to be multiplied with, to be what it is at the reference clock."""
        clock, own = self.at(place, limit_ms), self.anchors_ms[place]
        disturbed = own / clock if own <= limit_ms else 1.0
        return float((reference_ms / clock) ** _FOLLOWS_CLOCK / disturbed**_FOLLOWS_VISIT)
