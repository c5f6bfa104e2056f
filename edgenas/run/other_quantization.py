"""The shipped network of a run in another quantization, beside the run's own bundle, which stays as it is.

The trials' costs were predicted for the run's quantization. The other one is predicted from the device's table of its
own precision, of which the run keeps a copy under ``tables/``; where there is none, nothing is predicted, and the
bundle says why.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from edgenas.export.files import file_name
from edgenas.run.context import RunContext, table_precision
from edgenas.run.device import RunDevice
from edgenas.spaces.errors import InputError


class OtherQuantization(RunContext):
    """A run's context for files of another quantization. The budget is told of, and does not decide.

    Args:
        of: the run.
        quantization: name of a recipe of :mod:`edgenas.export.quantization`.
        measure: profile what the device's table of that precision lacks, instead of leaving predictions out.

    Raises InputError for a quantization that is unknown, needs what is not installed, or that a device cannot run.
    """

    keeps_budget = False

    def __init__(self, of: RunContext, quantization: str, *, measure: bool = False) -> None:
        export = of.recipe.export.model_copy(update={"quantization": quantization})
        super().__init__(of.recipe.model_copy(update={"export": export}), of.folder, of.progress)
        self.own_precision, self.measure = of.precision, measure
        self._check()

    def _check(self) -> None:
        from edgenas.export.quantization import get_recipe

        if missing := get_recipe(self.recipe.export.quantization).missing():
            raise InputError(f"--quantization: {missing}")
        for device in self.devices:
            if self.precision not in (known := device.device.precisions):
                raise InputError(
                    f"--quantization: device {device.name!r} cannot run {self.precision!r} models, expected one of "
                    f"{', '.join(known)}"
                )

    @property
    def precision(self) -> str:
        return table_precision(self.recipe.export.quantization)

    @cached_property
    def devices(self) -> tuple[RunDevice, ...]:
        margin = self.recipe.search.latency_margin
        kind = RunDevice if self.precision == self.own_precision else _OtherDevice
        return tuple(
            kind(device, self.folder, self.precision, margin, number)
            for number, device in enumerate(self.recipe.budgeted_devices)
        )

    def prepare(self) -> None:
        """Copies, and with ``measure`` first completes, the tables that predictions come from."""
        for device in self.devices:
            if isinstance(device, _OtherDevice) and not device.table_path.is_file():
                device.lacks = self._copy_table(device)
                if device.lacks:
                    self.progress.say(f"nothing is predicted for {device.name}: {device.lacks}")

    def _copy_table(self, device: _OtherDevice) -> str:
        """Puts the run's copy in place; words on why there can be none."""
        from edgenas.latency.predict.predictor import Predictor
        from edgenas.latency.table.latency_table import LatencyTable, default_table_path
        from edgenas.run.profile import measured_table, run_table

        how = "export again with --profile, which measures it"
        path = measured_table(self, device) if self.measure else default_table_path(device.name, self.precision)
        if not path.is_file():
            return f"there is no {self.precision} table of it; {how}"
        table = LatencyTable.load(path, device=device.name, precision=self.precision)
        table.check_device(device.device, str(path))
        if missing := Predictor(table).missing(self.space):
            return f"its {self.precision} table lacks {len(missing)} blocks of the space, such as {missing[0]}; {how}"
        device.table_path.parent.mkdir(exist_ok=True)
        run_table(self, path).save(device.table_path)
        return ""


class _OtherDevice(RunDevice):
    """A device of the run with a table of another precision, if it has one."""

    lacks = ""

    @property
    def table_path(self) -> Path:
        return self.folder.path / "tables" / f"{file_name(self.name)}-{self.precision}.csv"
