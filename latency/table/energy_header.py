"""Where the energies of a table come from, and how those of blocks add up to that of a network.

With t the standalone latency of a block, c what that block contributes to the latency of a network (the latency's own
calibration) and E its standalone energy,

    network = fixed_mj + scale * sum(E * c / t)

A block's power does not depend on what is left of its time in a network, so its energy is cut as its latency is.
``fixed_mj`` is what a network needs besides its blocks. ``scale`` is 1 unless whole networks were metered.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.devices.measurement import Kind
from edgenas.latency.table.error_figures import error_figures, in_words, interval_from
from edgenas.spaces.errors import InputError

KINDS = ("measured", "modelled", "simulated")
_FITTED = ("scale", "fixed_mj", "networks", "mape", "max_error", "mape_interval")
_WATTS = ("idle_watts", "active_watts")


@dataclass(frozen=True)
class TableEnergy:
    """Provenance of a table's energies; all of them are of one kind.

    ``meter`` names the meter with its rails, or the model. ``active_watts`` is what the device draws while it runs: the
    published figure for modelled energies, the median over blocks for measured ones; ``idle_watts`` is subtracted.
    ``mape`` (between ``mape_interval`` with 95 %) and ``max_error`` are leave-one-out relative errors over ``networks``
    whole networks that were metered (or simulated); None where no whole network was. Raises
    InputError for a kind or a figure that makes no sense.
    """

    kind: Kind
    meter: str
    idle_watts: float
    active_watts: float
    pj_per_byte: float = 0.0
    scale: float = 1.0
    fixed_mj: float = 0.0
    networks: int = 0
    mape: float | None = None
    max_error: float | None = None
    mape_interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown kind of energy {self.kind!r}: expected one of {', '.join(KINDS)}")
        for name in (*_WATTS, "pj_per_byte", "scale", "fixed_mj"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} of a table's energies must be a number from 0, not {getattr(self, name)!r}")

    @property
    def active_above_idle_watts(self) -> float:
        """What running adds, in watts: mJ per ms."""
        return max(self.active_watts - self.idle_watts, 0.0)

    @property
    def error(self) -> dict[str, Any]:
        """``{"mape", "interval", "max", "networks"}``, as of latencies."""
        return {
            "mape": self.mape,
            "interval": self.mape_interval,
            "max": self.max_error,
            "networks": self.networks,
        }

    def has_origin(self, other: TableEnergy) -> bool:
        """Whether both are of one kind, by one meter (or one model with the same figures)."""
        ours, theirs = ((each.kind, each.meter, each.pj_per_byte) for each in (self, other))
        if ours != theirs:
            return False
        return self.kind == "measured" or (self.idle_watts, self.active_watts) == (other.idle_watts, other.active_watts)

    def contributions(
        self, energies_mj: NDArray[np.float64], latencies_ms: NDArray[np.float64], parts_ms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What blocks add to a network's energy: of each its standalone energy, latency, and part of the network's.

        NaN energies stay NaN; where no latency is known, a block's energy counts whole.
        """
        return self.scale * energies_mj * np.where(np.isnan(latencies_ms), 1.0, parts_ms / latencies_ms)

    def describe(self) -> str:
        """One line that is printed wherever these energies are used."""
        watts = ""
        if self.active_watts:
            watts = f"; {self.active_watts:.3g} W running, {self.idle_watts:.3g} W idle subtracted"
        error = (
            ""
            if self.mape is None
            else f", {in_words(self.mape, None, self.mape_interval)} on {self.networks} {self.kind} networks"
        )
        return f"energy {self.kind} ({self.meter}{watts}{error})"

    # The table's header ------------------------------------------------------------------------------------------

    def to_header(self) -> dict[str, str]:
        """Keys and values for a table's header; :meth:`from_header` reads them back."""
        fitted = {name: getattr(self, name) for name in _FITTED}
        return {
            "energy_kind": self.kind,
            "energy_meter": self.meter,
            **{f"energy_{name}": repr(getattr(self, name)) for name in (*_WATTS, "pj_per_byte")},
            "energy_calibration": json.dumps(fitted, sort_keys=True),
        }

    @classmethod
    def from_header(cls, header: Mapping[str, str]) -> TableEnergy | None:
        """None when the header says nothing about energy. Raises ValueError, KeyError or TypeError on nonsense."""
        if "energy_kind" not in header:
            return None
        fitted = json.loads(header["energy_calibration"])
        errors = {name: None if fitted[name] is None else float(fitted[name]) for name in ("mape", "max_error")}
        return cls(
            header["energy_kind"],  # type: ignore[arg-type]  # checked by __post_init__
            header["energy_meter"],
            idle_watts=float(header["energy_idle_watts"]),
            active_watts=float(header["energy_active_watts"]),
            pj_per_byte=float(header["energy_pj_per_byte"]),
            scale=float(fitted["scale"]),
            fixed_mj=float(fitted["fixed_mj"]),
            networks=int(fitted["networks"]),
            mape_interval=interval_from(fitted.get("mape_interval")),
            **errors,
        )

    def with_calibration(self, scale: float, fixed_mj: float, errors: NDArray[np.float64]) -> TableEnergy:
        """A copy with fitted constants and the relative leave-one-out errors behind them (empty: unknown)."""
        return dataclasses.replace(
            self,
            scale=round(scale, 6),
            fixed_mj=round(fixed_mj, 9),
            networks=len(errors),
            **error_figures(errors),
        )
