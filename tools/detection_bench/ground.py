"""What the benchmark stands on: its space, SSDLite-MobileNetV2 of any width, and a device whose watts are said."""

from __future__ import annotations

from pathlib import Path

import yaml
from segmentation_bench.ground import scaled

from edgenas.export.files import write_atomically
from edgenas.spaces.network import Network
from edgenas.spaces.references import reference_network
from edgenas.spaces.resolve import resized

SMALL_SPACE = Path(__file__).parent / "small_spaghetti.yaml"
#: Watts of a laptop's core: they make latencies and bytes to energies, in the same way for all networks.
IDLE_WATTS, ACTIVE_WATTS, PJ_PER_BYTE = 3.0, 9.0, 160.0


def ssdlite(width: float, input_shape: tuple[int, ...], classes: int) -> Network:
    """SSDLite-MobileNetV2 at any width."""
    whole = resized(reference_network("ssdlite_mobilenet_v2"), input_shape, classes)
    return scaled(whole, width, f"ssdlite_mobilenet_v2_{width:g}")


def cpu_with_watts(folder: Path) -> Path:
    """The file of this machine's CPU as a device with watts, so that its energy is modelled."""
    path = folder / "cpu-with-watts.yaml"
    power = {"idle_watts": IDLE_WATTS, "active_watts": ACTIVE_WATTS, "pj_per_byte": PJ_PER_BYTE}
    document = {"name": "cpu-with-watts", "kind": "local", "description": "local-cpu with watts", "power": power}
    write_atomically(path, yaml.safe_dump(document, sort_keys=False))
    return path
