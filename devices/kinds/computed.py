"""What devices that compute a cost, rather than measure one, have in common."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from edgenas.devices.calibration import BoardFactor
from edgenas.devices.device import (
    CostingName,
    Device,
    DeviceSpec,
    MeasurementError,
    MeasurementOutcome,
    MeasureSettings,
    Model,
)
from edgenas.devices.kinds.outcomes import Outcomes
from edgenas.devices.measurement import Measurement
from edgenas.spaces.errors import EdgeNASError, InputError

Constants = TypeVar("Constants")


class ComputedDevice(Device):
    """A device whose costs are a function of the file: the same file always costs the same, whoever else computes."""

    costing: ClassVar[CostingName] = "computed"
    takes_reals: ClassVar[bool] = False
    #: So many files are computed at a time.
    at_once: ClassVar[int] = 1

    @abstractmethod
    def compute(self, model: bytes, *, in_network: bool) -> Measurement:
        """What a model costs, or ``in_network`` what it adds to one that it is a part of. Raises EdgeNASError."""

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody has to wait."""
        yield

    def without_factor(self) -> Device:
        return type(self)(dataclasses.replace(self.spec, calibration=BoardFactor()))

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        """The outcome of each model by name; a model that cannot be computed fails by itself."""
        in_network = (settings or MeasureSettings()).in_network

        def outcome_of(name: str) -> MeasurementOutcome:
            model = models[name]
            try:
                return self.compute(model.read_bytes() if isinstance(model, Path) else model, in_network=in_network)
            except (EdgeNASError, OSError) as error:
                return MeasurementError(f"model {name!r}: {error}")
            except OverflowError:
                return MeasurementError(f"model {name!r}: its tensors are larger than any machine's memory")

        self.identity()  # what is wrong with the device is no model's fault
        outcomes = Outcomes(on_result)
        with ThreadPoolExecutor(self.at_once) as threads:
            computed = map(outcome_of, models) if self.at_once == 1 else threads.map(outcome_of, models)
            for name, outcome in zip(models, computed, strict=True):
                outcomes.record(name, outcome)
        return outcomes


def read_constants(spec: DeviceSpec, kind: type[Constants]) -> Constants:
    """Option ``constants``: for every field of a dataclass a mapping ``{value, source}``, all numbers from 0 up.

    Raises InputError naming the device's file and the constant.
    """
    given: Any = spec.options.get("constants")
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise InputError(f"{spec.source}: option 'constants' must have exactly the keys {', '.join(names)}")
    values = {}
    for name in names:
        entry = given[name]
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
            raise InputError(
                f"{spec.source}: constant {name!r} must be {{value: NUMBER, source: TEXT}}, found {entry!r}"
            )
        if not str(entry.get("source") or ""):
            raise InputError(f"{spec.source}: constant {name!r} lacks its source: say where {value} comes from")
        values[name] = float(value)
    if not values["clock_mhz"]:
        raise InputError(f"{spec.source}: constant 'clock_mhz' must be above 0")
    return kind(**values)


def digest_of(constants: Any) -> str:
    """Eight digits that tell the constants of a dataclass apart."""
    values = json.dumps(dataclasses.asdict(constants), sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:8]
