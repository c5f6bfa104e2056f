"""The device interface: one class per way of reaching hardware, one YAML file per device.

A *kind* is a class registered with :func:`register_device`; a *device* is a YAML file that names its kind and that
class's options. EdgeNAS brings ``devices/catalog/*.yaml``; users add ``devices/*.yaml`` in their EdgeNAS home:

    name: my-laptop-venv
    kind: local
    description: the other Python environment of this laptop
    precisions: [float32, int8]
    options: {python: /home/me/venv/bin/python}
    power: {idle_watts: 3, active_watts: 9}     # optional, see edgenas.devices.power

Every implementation passes :class:`edgenas.devices.conformance.DeviceConformance`.
"""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from edgenas.devices.calibration import BoardFactor, read_board_factor
from edgenas.devices.home import edgenas_home
from edgenas.devices.kinds.edgetpu_model import tensor_bytes
from edgenas.devices.lock import exclusive
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.devices.power import Power, read_power
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.registry import Registry
from edgenas.spaces.text import did_you_mean
from edgenas.spaces.yaml_reading import number_as_key, read_document

CATALOG = Path(__file__).parent / "catalog"

_KINDS: Registry[type[Device]] = Registry("device kind", attribute="kind")
DeviceType = TypeVar("DeviceType", bound="type[Device]")


class MeasurementError(WorkError):
    """A model could not be measured: the message holds the runner's own words."""


class DeviceLostError(MeasurementError):
    """The device cannot be used any more, whatever the model: what has an outcome is all there will be."""


@dataclass(frozen=True)
class MeasureSettings:
    """How long and how often to run each model.

    With ``confidence``, sampling stops as soon as the half-width of the median's 95 % confidence interval is below
    that share of the median; without, ``max_seconds`` is always used up. ``keep`` thins the reported samples.
    ``timeout_seconds`` is for one model, loading included.

    With ``anchor``, a small model, each model gets a short visit instead: chunks of ``chunk_seconds``, with the anchor
    timed before and after each (:attr:`Measurement.anchors_ms`), until ``quiet_chunks`` of them were quiet (both times
    within ``tolerance`` of the anchor's fastest, ``anchor_ms``) or ``visit_seconds`` are over. For protocols that
    come back in many rounds and keep what was measured in quiet moments. A device that cannot do so ignores it.
    A model whose run takes more than ``operators_above`` seconds (None: none; 0: all) runs for ``operator_seconds``
    instead, where the runtime tells the times of operators (:attr:`Measurement.operators_us`).

    With ``in_network``, a device that computes its costs tells what the model adds to a network that it is a part of,
    without what only a whole network costs (its input and output, the fixed part). Others ignore it.

    ``inputs`` is what inputs are fed, by name and type, as :mod:`edgenas.devices.on_device.runner` takes it; others
    get random values.

    With ``energy``, a device that has a meter runs each model once more beside it (not on visits with an anchor).
    """

    threads: int = 1
    affinity: tuple[int, ...] | None = None
    warmup_seconds: float = 0.1
    min_runs: int = 30
    max_runs: int = 5000
    max_seconds: float = 5.0
    confidence: float | None = 0.02
    keep: int | None = None
    seed: int = 0
    timeout_seconds: float = 60.0
    anchor: bytes | None = None
    anchor_ms: float | None = None
    tolerance: float = 1.2
    quiet_chunks: int = 3
    chunk_seconds: float = 0.0001
    visit_seconds: float = 0.004
    wait_seconds: float = 0.0
    operators_above: float | None = None
    operator_seconds: float = 0.2
    in_network: bool = False
    energy: bool = False
    inputs: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name in ("threads", "min_runs", "max_runs", "max_seconds", "timeout_seconds", "quiet_chunks"):
            if getattr(self, name) <= 0:
                raise InputError(f"measurement settings: {name} must be above 0, not {getattr(self, name)!r}")


#: How costs come to be: in runs that differ from each other, or as a function of the file.
CostingName = Literal["measured", "computed"]
#: A model: the bytes of a ``.tflite`` file, or its path.
Model = bytes | Path
MeasurementOutcome = Measurement | MeasurementError


@dataclass(frozen=True)
class MeterFound:
    """``name`` of a meter with its rails, or None and in ``words`` what to do to get one."""

    name: str | None
    words: str = ""


@dataclass(frozen=True)
class DeviceSpec:
    """What a device's YAML file says; ``source`` is the file, for messages."""

    name: str
    kind: str
    description: str = ""
    precisions: tuple[str, ...] = PRECISIONS
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = "<code>"
    power: Power = field(default_factory=Power)
    calibration: BoardFactor = field(default_factory=BoardFactor)


class Device(ABC):
    """A named target that tells what ``.tflite`` models cost.

    It measures; :class:`edgenas.devices.kinds.computed.ComputedDevice` computes.
    """

    kind: ClassVar[str] = ""
    #: Which implementation of :class:`edgenas.latency.costing.protocol.Costing` knows how to get at its costs.
    costing: ClassVar[CostingName] = "measured"
    #: Whether it tells what each operator adds to a network (:attr:`Measurement.shares`), so that blocks are seen
    #: there.
    tells_shares: ClassVar[bool] = False
    #: What a group convolution becomes here: ``native`` (one operator) or ``split`` (SPLIT, one CONV_2D a group,
    #: CONCATENATION). Models for a ``split`` device are written so.
    group_convolution: ClassVar[str] = "native"
    #: How the arg-max of a segmentation network is written: ``operator``, or ``chain`` of operators that it maps.
    arg_max: ClassVar[str] = "operator"
    #: Where the boxes of a detector are decoded: ``operator``, TFLite's own in the file, or ``none``: by what reads it.
    post_processing: ClassVar[str] = "none"
    #: Whether an int8 model may begin and end with operators on real numbers, as those for the rows of tables do.
    takes_reals: ClassVar[bool] = True
    #: Whether models are compiled ahead by a compiler that refuses sides that are left open.
    needs_known_shapes: ClassVar[bool] = False

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.precisions = spec.precisions

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Every kind, also a user's, measures under its device's lock, and need not know of it."""
        super().__init_subclass__(**arguments)
        if "measure_many" in vars(cls):
            cls.measure_many = _locked(cls.measure_many)  # type: ignore[method-assign]

    @property
    def varies(self) -> bool:
        """Whether the same model may cost something else the next time."""
        return self.costing == "measured"

    @property
    def lock_names(self) -> tuple[str, ...]:
        """What nobody else may measure on meanwhile: the same for devices that share hardware."""
        return (self.name,)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps other processes from measuring on this device, for as long as a series of measurements takes.

        Waits for them before, see :mod:`edgenas.devices.lock`.
        """
        with exclusive(self.name, self.lock_names):
            yield

    @abstractmethod
    def identity(self, *, threads: int = 1) -> Provenance:
        """What the device is now: runtime, version, processor, clock. Raises MeasurementError when unreachable."""

    @abstractmethod
    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        """Measures models in the order given, in one process where nothing goes wrong.

        Every model gets an outcome: a model that cannot be loaded, or crashes or hangs the runner, gets a
        :class:`MeasurementError`, and the others are measured all the same. ``on_result`` hears of each at once.
        Raises DeviceLostError when the device itself cannot be used (any more).
        """

    def measure(self, model: Model, *, threads: int = 1, settings: MeasureSettings | None = None) -> Measurement:
        """Measures one model in a fresh process, its energy too: modelled where there is no meter but known watts.

        Raises MeasurementError.
        """
        settings = settings or MeasureSettings(threads=threads, energy=True)
        outcome = self.measure_many({"model": model}, settings)["model"]
        if isinstance(outcome, MeasurementError):
            raise outcome
        if outcome.energy is None and self.spec.power.has_watts:
            energy = self.spec.power.energy(outcome.median, self.bytes_moved(model))
            outcome = dataclasses.replace(outcome, energy=energy)
        return outcome

    def bytes_moved(self, model: Model) -> int:
        """Bytes that one inference moves between processor and memory, for the model of its energy.

        Every operator reads its inputs and weights and writes its outputs once. Raises InputError for what is no model.
        """
        if not self.spec.power.pj_per_byte:
            return 0
        content = model.read_bytes() if isinstance(model, Path) else model
        return sum(
            tensor_bytes(tensor)
            for operator in read_operators(content)
            for tensor in (*operator.inputs, *operator.outputs)
            if tensor is not None
        )

    def board_files(self, model: bytes) -> dict[str, bytes]:
        """What a board needs beside a shipped model, by the ending of its name: a compiled file, settings, ...

        Raises WorkError when it cannot be made.
        """
        return {}

    def without_factor(self) -> Device:
        """The same device without the factor of a board (:mod:`edgenas.devices.calibration`).

        Raises InputError where there is nothing to correct.
        """
        raise InputError(
            f"device {self.name!r} is measured, not estimated: a factor is for simulated and modelled devices"
        )

    def meter(self) -> MeterFound:
        """The energy meter that this device is measured with, or why there is none."""
        return MeterFound(None, f"devices of kind {self.kind} have no meter")

    def check(self) -> list[str]:
        """What keeps this device from working, in words for its user; empty when it works."""
        try:
            self.identity()
        except WorkError as error:
            return [str(error)]
        return []


def _locked(measure_many: Callable[..., dict[str, MeasurementOutcome]]) -> Callable[..., dict[str, MeasurementOutcome]]:
    @functools.wraps(measure_many)
    def locked(
        self: Device, models: Mapping[str, Model], *arguments: Any, **options: Any
    ) -> dict[str, MeasurementOutcome]:
        with self.exclusive():
            return measure_many(self, models, *arguments, **options)

    return locked


def register_device(kind: str) -> Callable[[DeviceType], DeviceType]:
    """Class decorator that makes a kind of device known. Raises InputError when the name is taken."""
    return _KINDS.decorator(kind)


def device_kinds() -> tuple[str, ...]:
    """Names of all registered kinds, sorted."""
    return _KINDS.names()


def read_device_spec(path: Path) -> DeviceSpec:
    """Reads a device's YAML file. Raises InputError naming the file, the key, and what is expected."""
    raw = read_document(path, "YAML").value
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected keys name and kind, found {type(raw).__name__}")
    known = ("name", "kind", "description", "precisions", "options", "power", "calibration")
    for key in raw:
        if not isinstance(key, str):
            raise InputError(f"{path}: {number_as_key(key)}")
        if key not in known:
            raise InputError(f"{path}: unknown key {key!r}: expected one of {', '.join(known)}")
    for key in ("name", "kind"):
        if not isinstance(raw.get(key), str) or not raw[key]:
            raise InputError(f"{path}: key {key!r} must be a text, found {raw.get(key)!r}")
    precisions = raw.get("precisions", list(PRECISIONS))
    if not isinstance(precisions, list) or not precisions or not set(map(str, precisions)) <= set(PRECISIONS):
        raise InputError(f"{path}: precisions must be a list of {', '.join(PRECISIONS)}, found {precisions!r}")
    options = raw.get("options") or {}
    if not isinstance(options, dict):
        raise InputError(f"{path}: options must be a mapping, found {options!r}")
    return DeviceSpec(
        raw["name"],
        raw["kind"],
        str(raw.get("description", "")),
        tuple(map(str, precisions)),
        options,
        str(path),
        read_power(raw.get("power"), str(path)),
        read_board_factor(raw.get("calibration"), str(path)),
    )


def device_files() -> dict[str, Path]:
    """The YAML file of every known device, by name; a user's device hides one of the same name from the catalog."""
    files: dict[str, Path] = {}
    for folder in (CATALOG, edgenas_home() / "devices"):
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            files[read_device_spec(path).name] = path
    return files


def device_names() -> tuple[str, ...]:
    """Names of all known devices, sorted."""
    return tuple(sorted(device_files()))


def device_specs() -> tuple[DeviceSpec, ...]:
    """Descriptions of all known devices, by name."""
    return tuple(read_device_spec(path) for _, path in sorted(device_files().items()))


def get_device(name: str) -> Device:
    """The device of this name, ready to measure. Raises InputError with the known names."""
    files = device_files()
    if name not in files:
        raise InputError(
            f"unknown device {name!r}: expected one of {', '.join(sorted(files))}; "
            f"devices of your own are described in {edgenas_home() / 'devices'}/NAME.yaml" + did_you_mean(name, files)
        )
    return device_from_spec(read_device_spec(files[name]))


def device_from_spec(spec: DeviceSpec) -> Device:
    """The device that a description stands for. Raises InputError when its kind is unknown."""
    if spec.kind not in _KINDS:
        raise InputError(f"{spec.source}: unknown kind {spec.kind!r}: expected one of {', '.join(device_kinds())}")
    return _KINDS.get(spec.kind)(spec)
