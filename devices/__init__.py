"""Where it runs: devices that measure ``.tflite`` models, and what a measurement is."""

from edgenas.devices.device import (
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
from edgenas.devices.home import edgenas_home
from edgenas.devices.kinds import adb as _adb  # noqa: F401  (registers the kind)
from edgenas.devices.kinds import edgetpu as _edgetpu  # noqa: F401  (registers the kind)
from edgenas.devices.kinds import ethos_u as _ethos_u  # noqa: F401  (registers the kind)
from edgenas.devices.kinds import local as _local  # noqa: F401  (registers the kind)
from edgenas.devices.kinds import microcontroller as _microcontroller  # noqa: F401  (registers the kind)
from edgenas.devices.kinds import simulated as _simulated  # noqa: F401  (registers the kind)
from edgenas.devices.kinds import ssh as _ssh  # noqa: F401  (registers the kind)
from edgenas.devices.measurement import Energy, Measurement, Provenance
from edgenas.devices.power import Power

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
