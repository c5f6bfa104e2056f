"""What devices that compute a cost, rather than measure one, have in common."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgenas.devices.device import DeviceSpec, MeasurementError, MeasurementOutcome, Model
from edgenas.devices.measurement import Measurement
from edgenas.spaces.errors import EdgeNASError, InputError

Constants = TypeVar("Constants")


def compute_each(
    models: Mapping[str, Model],
    compute: Callable[[bytes], Measurement],
    on_result: Callable[[str, MeasurementOutcome], None] | None,
) -> dict[str, MeasurementOutcome]:
    """The outcome of each model by name; a model that cannot be computed fails alone."""
    outcomes: dict[str, MeasurementOutcome] = {}
    for name, model in models.items():
        try:
            outcomes[name] = compute(model.read_bytes() if isinstance(model, Path) else model)
        except (EdgeNASError, OSError) as error:
            outcomes[name] = MeasurementError(f"model {name!r}: {error}")
        except OverflowError:
            outcomes[name] = MeasurementError(f"model {name!r}: its tensors are larger than any machine's memory")
        if on_result:
            on_result(name, outcomes[name])
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
