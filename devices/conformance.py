"""What every device kind must do. Subclass it in a test module, ours or a third party's, and give it a device.

class TestMyBoard(DeviceConformance):
    def device(self) -> Device:
        return get_device("my-board")
"""

from __future__ import annotations

import json
import math

import pytest

from edgenas.devices.device import Device, MeasurementError, MeasurementOutcome, MeasureSettings
from edgenas.devices.measurement import Measurement
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import InvertedBottleneck

SETTINGS = MeasureSettings(warmup_seconds=0.005, max_seconds=0.05, timeout_seconds=60)


class DeviceConformance:
    """Plain pytest methods; needs a device that works."""

    def device(self) -> Device:
        """The device under test."""
        raise NotImplementedError("a conformance test says which device it tests")

    def model(self, filters: int = 8) -> bytes:
        """A small model in a precision of the device."""
        graph = InvertedBottleneck(filters=filters, expansion=2).lower((8, 8, 8))
        return write_tflite(graph, self.device().precisions[0])

    def test_names_itself(self) -> None:
        device = self.device()
        assert device.name
        assert device.kind
        assert device.precisions
        assert device.check() == []

    def test_identity_tells_the_runtime(self) -> None:
        identity = self.device().identity()
        assert identity.device == self.device().name
        assert identity.runtime
        assert identity.runtime_version

    def test_measures_a_model_with_provenance(self) -> None:
        measurement = self.device().measure(self.model(), settings=SETTINGS)
        assert measurement.samples_ms
        assert all(math.isfinite(sample) and sample > 0 for sample in measurement.samples_ms)
        assert measurement.min <= measurement.median <= measurement.p95
        assert measurement.provenance.kind in ("measured", "simulated", "modelled")
        assert measurement.provenance.device == self.device().name
        assert measurement.runs >= 1
        document = json.loads(json.dumps(measurement.to_json()))
        assert {"min", "p10", "median", "mean", "p90", "runs"} <= set(document["latency_ms"])

    def test_an_unloadable_model_is_an_error_with_words(self) -> None:
        with pytest.raises(MeasurementError, match=r"\w+"):
            self.device().measure(b"this is not a model", settings=SETTINGS)

    def test_one_bad_model_does_not_stop_the_others(self) -> None:
        heard: list[tuple[str, MeasurementOutcome]] = []
        models = {"first": self.model(), "bad": b"this is not a model", "last": self.model(16)}
        outcomes = self.device().measure_many(models, SETTINGS, lambda name, outcome: heard.append((name, outcome)))
        assert isinstance(outcomes["first"], Measurement)
        assert isinstance(outcomes["bad"], MeasurementError)
        assert isinstance(outcomes["last"], Measurement)
        assert dict(heard) == outcomes
        assert len(heard) == len(models)

    def test_no_models_no_outcomes(self) -> None:
        assert self.device().measure_many({}, SETTINGS) == {}
