"""How well scores rank networks: Kendall's tau with what they came to when trained alone, beside free baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: A tau of fewer networks than this is mostly chance.
FEW = 10
SUPERNET = "supernet"


def kendall_tau(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Kendall's tau-b: 1 for the same order, -1 for the opposite; NaN when either has no order at all.

    >>> kendall_tau([1, 2, 3], [10, 20, 30]), round(kendall_tau([1, 2, 2], [1, 2, 3]), 3)
    (1.0, 0.816)
    """
    one, two = (np.asarray(values, np.float64) for values in (first, second))
    upper = np.triu_indices(len(one), 1)
    signs = [np.sign(values[:, None] - values[None, :])[upper] for values in (one, two)]
    untied = np.sqrt(np.abs(signs[0]).sum() * np.abs(signs[1]).sum())
    return float((signs[0] * signs[1]).sum() / untied) if untied else float("nan")


@dataclass(frozen=True)
class RankingCheck:
    """Kendall's tau of each way to rank with what ``networks`` networks came to; one without any order is not there."""

    networks: int
    tau: Mapping[str, float]

    @property
    def loses_to(self) -> str:
        """The baseline that ranks best, where it ranks better than the supernet; else empty."""
        others = {name: value for name, value in self.tau.items() if name != SUPERNET}
        if not others:
            return ""
        best = max(others, key=lambda name: others[name])
        return best if others[best] > self.tau.get(SUPERNET, -1.0) else ""

    def words(self, metric: str) -> str:
        """One sentence for people.

        >>> RankingCheck(12, {"supernet": 0.5, "macs": 0.6, "depth": 0.1}).words("top1")
        'Kendall tau with top1 after short training, over 12 networks: supernet 0.50, macs 0.60, depth 0.10; the \
supernet LOSES to macs, so its order is worth less than theirs'
        """
        figures = ", ".join(f"{name} {value:.2f}" for name, value in self.tau.items())
        text = f"Kendall tau with {metric} after short training, over {self.networks} networks: {figures}"
        if self.loses_to:
            text += f"; the supernet LOSES to {self.loses_to}, so its order is worth less than theirs"
        if self.networks < FEW:
            text += f"; {self.networks} networks say little: raise supernet.check"
        return text


def check_ranking(scores: Floats, baselines: Mapping[str, Floats], trained: Floats) -> RankingCheck:
    """How scores and baselines rank networks whose metric after a training of their own is ``trained``, (N,) each."""
    taus = {SUPERNET: kendall_tau(scores, trained)}
    taus |= {name: kendall_tau(values, trained) for name, values in baselines.items()}
    return RankingCheck(len(trained), {name: tau for name, tau in taus.items() if np.isfinite(tau)})
