"""What became of each model of a measurement, told to whoever listens as it comes."""

from __future__ import annotations

from collections.abc import Callable

from edgenas.devices.device import MeasurementOutcome

#: Hears the name of a model and its outcome.
Listener = Callable[[str, MeasurementOutcome], None]


class Outcomes(dict[str, MeasurementOutcome]):
    """Outcomes by name, in the order in which they came."""

    def __init__(self, on_result: Listener | None) -> None:
        super().__init__()
        self._on_result = on_result

    def record(self, name: str, outcome: MeasurementOutcome) -> None:
        """Notes an outcome and tells of it at once."""
        self[name] = outcome
        if self._on_result:
            self._on_result(name, outcome)
