"""What every energy meter must do. Subclass it in a test module, ours or a third party's, and give it a meter.

class TestMyMeter(MeterConformance):
    def meter(self) -> Meter | None:
        return MyMeter.find({"root": "/", "rails": [], "command": None})
"""

from __future__ import annotations

import time
from pathlib import Path

from edgenas.devices.on_device.energy import Meter, average_watts, meter_class
from edgenas.devices.on_device.energy.meter import Reading


class MeterConformance:
    """Plain pytest methods; ``meter`` makes a new one each time, of a machine that has it."""

    def meter(self) -> Meter | None:
        """The meter under test."""
        raise NotImplementedError("a conformance test says which meter it tests")

    def advance(self, seconds: float) -> None:
        """Lets time pass; a meter of a false tree moves its counters here."""
        time.sleep(seconds)

    def _found(self) -> Meter:
        meter = self.meter()
        assert meter is not None
        return meter

    def test_is_registered_and_names_its_rails(self) -> None:
        meter = self._found()
        try:
            assert meter_class(meter.kind) is type(meter)
            assert meter.rails
            assert meter.name.startswith(meter.kind)
            assert 0 < meter.period_seconds <= 2.5
        finally:
            meter.close()

    def test_readings_are_of_one_sort_and_give_a_power(self) -> None:
        meter = self._found()
        try:
            readings: list[Reading] = []
            for _ in range(3):
                self.advance(max(meter.period_seconds, 0.01))
                readings.append(meter.read())
            assert all((reading.joules is None) != (reading.watts is None) for reading in readings)
            assert len({reading.joules is None for reading in readings}) == 1
            assert readings[0].seconds < readings[-1].seconds
            assert 0 <= average_watts(readings) < 1e5
        finally:
            meter.close()

    def test_is_not_found_where_there_is_none(self, tmp_path: Path) -> None:
        assert type(self._found()).find({"root": str(tmp_path), "rails": [], "command": None}) is None
