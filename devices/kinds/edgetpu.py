"""Coral Edge TPUs: models are compiled by the maker's compiler and run through its delegate, or not at all.

Group convolutions, which the compiler does not read, are taken apart before (:mod:`edgenas.export.tflite.group_split`).

What is missing (runtime library, accelerator, compiler) is said at once with how to install it. There is no way from
here to a CPU's number: without the delegate nothing is measured, and a compiled model without any operator on the Edge
TPU is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgenas.devices.device import (
    DeviceSpec,
    MeasurementError,
    MeasurementOutcome,
    MeasureSettings,
    MeterFound,
    Model,
    register_device,
)
from edgenas.devices.kinds.edgetpu_model import work_of
from edgenas.devices.kinds.local import LocalDevice
from edgenas.devices.kinds.outcomes import Outcomes
from edgenas.devices.measurement import Provenance
from edgenas.export.compilers.edgetpu.compiled import is_compiled
from edgenas.export.compilers.edgetpu.compiler import COMPILER, HOW_TO_INSTALL, compile_for_edgetpu, find_compiler
from edgenas.export.tflite.group_split import split_group_convolutions
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.errors import EdgeNASError, InputError

LIBRARY = "libedgetpu.so.1"
_HOW_TO_GET_LIBRARY = (
    "install libedgetpu1-std (or libedgetpu1-max) of the maker's Debian repository, see "
    "https://coral.ai/docs/accelerator/get-started, and the runtime that matches it (pip install tflite-runtime)"
)
_HOW_TO_CONNECT = {
    "usb": "plug the USB Accelerator into a USB 3 port; its vendor id is 1a6e, or 18d1 once it has run",
    "pci": "install the gasket-dkms driver and the udev rule of https://coral.ai/docs/m2/get-started, then reboot",
}
_NO_METER = (
    "the host's own meters do not see the accelerator: measure its supply with a USB power meter, by a command that "
    "prints watts (power.command), or name a meter that sees it (power.meter)"
)
_USB_IDS = {("1a6e", "089a"), ("18d1", "9302")}
_USB_DEVICES = Path("/sys/bus/usb/devices")
_PCI_DEVICES = Path("/dev")


@register_device("edgetpu")
class EdgeTpuDevice(LocalDevice):
    """An Edge TPU on the bus of the machine that EdgeNAS runs on.

    Options: ``bus`` (``usb`` or ``pci``), ``library`` (the delegate's shared library), ``compiler`` (its command),
    ``python`` (the interpreter whose LiteRT runtime loads the delegate).
    """

    group_convolution: ClassVar[str] = "split"
    arg_max: ClassVar[str] = "chain"
    post_processing: ClassVar[str] = "operator"
    takes_reals: ClassVar[bool] = False
    needs_known_shapes: ClassVar[bool] = True
    option_names: ClassVar[tuple[str, ...]] = ("bus", "library", "compiler", "python")

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        self.bus = str(spec.options.get("bus") or "usb")
        if self.bus not in _HOW_TO_CONNECT:
            raise InputError(f"{spec.source}: option 'bus' must be usb or pci, not {self.bus!r}")
        self.library = str(spec.options.get("library") or LIBRARY)
        self.compiler = str(spec.options.get("compiler") or COMPILER)
        self._compiled: dict[str, bytes] = {}
        self._compiler_version = ""

    def runner_settings(self) -> dict[str, Any]:
        """The runner loads the delegate or measures nothing."""
        return {"delegate": self.library, "delegate_options": {"device": self.bus}}

    def identity(self, *, threads: int = 1) -> Provenance:
        try:
            return self._with_delegate(super().identity(threads=threads))
        except MeasurementError as error:
            raise self._explained(error) from None

    def meter(self) -> MeterFound:
        return MeterFound(None, _NO_METER) if self.meter_is_unasked else super().meter()

    @property
    def meter_is_unasked(self) -> bool:
        """Whether the user named no meter: those of the host see its processor, not the accelerator."""
        return self.spec.power.meter == "auto" and self.spec.power.command is None

    def check(self) -> list[str]:
        """All that is missing at once, so that a newcomer installs once."""
        problems = []
        if not self._is_connected():
            problems.append(f"no Edge TPU on the {self.bus} bus: {_HOW_TO_CONNECT[self.bus]}")
        try:
            self.identity()
        except EdgeNASError as error:
            problems.append(str(error))
        if find_compiler(self.compiler) is None:
            problems.append(f"{self.compiler} is not on the PATH: {HOW_TO_INSTALL}")
        return problems

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        settings = settings or MeasureSettings()
        if self.meter_is_unasked:
            settings = dataclasses.replace(settings, energy=False)
        outcomes = Outcomes(on_result)

        def record(name: str, outcome: MeasurementOutcome) -> None:
            if isinstance(outcome, MeasurementError):
                outcome = self._explained(outcome)
            else:
                outcome = dataclasses.replace(outcome, provenance=self._with_delegate(outcome.provenance))
            outcomes.record(name, outcome)

        # Compiling takes seconds a model: first see that there is anything to compile for.
        try:
            super().identity(threads=settings.threads)
        except MeasurementError as error:
            for name in models:
                record(name, error)
            return outcomes
        ready: dict[str, Model] = {}
        for name, model in models.items():
            try:
                ready[name] = self._prepare(model)
            except EdgeNASError as error:
                record(name, MeasurementError(f"model {name!r}: {error}"))
        # The anchor tells whether the CPU is quiet; the Edge TPU has no neighbour to be disturbed by.
        if settings.anchor is not None:
            settings = dataclasses.replace(settings, anchor=None, warmup_seconds=0.02, min_runs=20, max_seconds=0.1)
        if ready:
            super().measure_many(ready, settings, record)
        return {name: outcomes[name] for name in models}

    def bytes_moved(self, model: Model) -> int:
        """What crosses the bus to the chip: input, outputs, parameters beyond its cache."""
        content = model.read_bytes() if isinstance(model, Path) else model
        if is_compiled(content) or not self.spec.power.pj_per_byte:
            return super().bytes_moved(content)
        return work_of(read_operators(split_group_convolutions(content))).bus_bytes

    def _prepare(self, model: Model) -> bytes:
        """The model as the Edge TPU runs it."""
        content = model.read_bytes() if isinstance(model, Path) else model
        if is_compiled(content):
            return content
        key = hashlib.sha256(content).hexdigest()
        if key not in self._compiled:
            compiled = compile_for_edgetpu(split_group_convolutions(content), compiler=self.compiler)
            self._compiler_version = compiled.log.version
            if not is_compiled(compiled.model):
                reasons = sorted({f"{line.op}: {line.status}" for line in compiled.log.statuses if not line.mapped})
                raise MeasurementError(
                    f"{COMPILER} mapped no operator, so this would measure the CPU: {'; '.join(reasons)[:400]}"
                )
            self._compiled[key] = compiled.model
        return self._compiled[key]

    def _with_delegate(self, provenance: Provenance) -> Provenance:
        compiler = f", {COMPILER} {self._compiler_version}" if self._compiler_version else ""
        return dataclasses.replace(provenance, protocol=f"{provenance.protocol}, delegate {self.library}{compiler}")

    def _explained(self, error: MeasurementError) -> MeasurementError:
        if "cannot load the delegate" in str(error):
            return MeasurementError(f"{error}: {_HOW_TO_GET_LIBRARY}. Nothing was measured on the CPU instead")
        return error

    def _is_connected(self) -> bool:
        if self.bus == "pci":
            return any(_PCI_DEVICES.glob("apex_*"))
        return any(_usb_ids(device) in _USB_IDS for device in _USB_DEVICES.glob("*"))


def _usb_ids(device: Path) -> tuple[str, str]:
    try:
        return (device / "idVendor").read_text().strip(), (device / "idProduct").read_text().strip()
    except OSError:
        return "", ""
