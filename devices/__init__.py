"""Where it runs: devices that measure ``.tflite`` models, and what a measurement is."""

from devices import adb as _adb  # noqa: F401  (registers the kind)
from devices import edgetpu as _edgetpu  # noqa: F401  (registers the kind)
from devices import local as _local  # noqa: F401  (registers the kind)
from devices import simulated as _simulated  # noqa: F401  (registers the kind)
from devices import ssh as _ssh  # noqa: F401  (registers the kind)
from devices.device import (
    Device,
    DeviceLostError,
    DeviceSpec,
    MeasurementError,
    MeasureSettings,
    MeterFound,
    device_kinds,
    device_names,
    device_specs,
    get_device,
    register_device,
)
from devices.home import edgenas_home
from devices.measurement import Energy, Measurement, Provenance
from devices.power import Power

__all__ = [
    "Device",
    "DeviceLostError",
    "DeviceSpec",
    "Energy",
    "MeasureSettings",
    "Measurement",
    "MeasurementError",
    "MeterFound",
    "Power",
    "Provenance",
    "device_kinds",
    "device_names",
    "device_specs",
    "edgenas_home",
    "get_device",
    "register_device",
]
