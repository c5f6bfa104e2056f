"""Fits the modelled microcontrollers to public measurements: ``python tools/fit_microcontrollers.py [--write]``.

Prints the constants, and how wrong they are on networks and on boards that were left out. ``--write`` makes the
devices' files in ``devices/catalog`` anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edgenas.devices.kinds.microcontroller_model import MicroWork, micro_work  # noqa: E402
from edgenas.export.tflite.flatbuffer import write_tflite  # noqa: E402
from edgenas.export.tflite.reader import read_operators  # noqa: E402
from edgenas.spaces.graph import OpGraph  # noqa: E402
from edgenas.spaces.yaml_reading import dump_yaml  # noqa: E402
from tools.microcontrollers.fitting import (  # noqa: E402
    SHAPE,
    Fit,
    Point,
    fit,
    leave_one_board_out,
    leave_one_network_out,
    summary,
)
from tools.microcontrollers.networks import MLPERF_TINY, zoo_network  # noqa: E402

HERE = ROOT / "tools" / "microcontrollers"
#: MLPerf Tiny's submissions with a vendor's or a tuned engine: core and clock in MHz (the boards' maxima).
BOARDS: Mapping[str, tuple[str, float]] = {
    "ST NUCLEO-L4R5ZI": ("Cortex-M4", 120),
    "ST NUCLEO-L4R5ZI-P": ("Cortex-M4", 120),
    "plumerai L4R5ZI": ("Cortex-M4", 120),
    "plumerai CY8CPROTO-062": ("Cortex-M4", 150),
    "Nuvoton M467HJ": ("Cortex-M4", 200),
    "ST NUCLEO-H7A3ZI-Q": ("Cortex-M7", 280),
    "plumerai H7A3ZI-Q": ("Cortex-M7", 280),
    "plumerai U575ZI-Q": ("Cortex-M33", 160),
    "ST NUCLEO-U385RG-Q": ("Cortex-M33", 96),
}
#: An NPU's time goes to weights from external flash.
NPU_SHAPE: Mapping[str, tuple[float, float]] = {
    "depthwise_macs": (2.0, 0.7),
    "elements": (1.0, 1.0),
    "weight_bytes": (300.0, 2.0),
}


@dataclass(frozen=True)
class Wanted:
    """A device of the catalog: which board's figures it has."""

    name: str
    board: str
    core: str
    clock_mhz: float
    engine: str
    ram_kib: int
    flash_kib: int | None = None


WANTED = (
    Wanted("cortex-m4", "ST NUCLEO-L4R5ZI-P", "Cortex-M4", 120, "ST Edge AI (MLPerf Tiny 1.3)", 640, 2048),
    Wanted("cortex-m7", "ST NUCLEO-H7A3ZI-Q", "Cortex-M7", 280, "X-CUBE-AI (MLPerf Tiny 1.2)", 1184, 2048),
    Wanted("cortex-m33", "ST NUCLEO-U385RG-Q", "Cortex-M33", 96, "ST Edge AI (MLPerf Tiny 1.3)", 256, 1024),
    Wanted("stm32h747", "STM32H747", "Cortex-M7", 400, "X-CUBE-AI 10 (ST model zoo)", 1024, 2048),
    Wanted("stm32n6570", "STM32N6570", "Neural-ART NPU", 1000, "ST Edge AI 2 (ST model zoo)", 4300),
)


def work_of(graph: OpGraph) -> MicroWork:
    """What the deployed int8 file asks for."""
    return micro_work(read_operators(write_tflite(graph, "int8")))


def mlperf_points() -> tuple[list[Point], dict[str, float]]:
    """Measurements of MLPerf Tiny, and watts by board where energies were submitted."""
    works = {name: work_of(build()) for name, build in MLPERF_TINY.items()}
    points, watts = [], {}
    for row in _rows("mlperf_tiny_results.csv"):
        board = row["submission"]
        if board not in BOARDS:
            continue
        points += [Point(board, name, works[name], float(row[f"{name}_ms"])) for name in works if row[f"{name}_ms"]]
        ratios = [float(row[f"{name}_uj"]) / float(row[f"{name}_ms"]) for name in works if row[f"{name}_uj"]]
        if ratios:
            watts[board] = float(np.median(ratios)) / 1e3
    return points, watts


def zoo_points(column: str, board: str) -> list[Point]:
    """Measurements of ST's model zoo in one column."""
    points = []
    for row in _rows("stm32_model_zoo.csv"):
        graph = zoo_network(row["network"], row["alpha"], row["input"], row["data"])
        if graph is not None and row[column]:
            name = " ".join(filter(None, (row["network"], row["alpha"], row["input"], row["data"])))
            points.append(Point(board, name, work_of(graph), float(row[column])))
    return points


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def memory_of(wanted: Wanted) -> dict[str, Any]:
    """RAM and flash of the board's chip; one without flash runs from what the board has beside it."""
    flash = {} if wanted.flash_kib is None else {"flash_bytes": 1024 * wanted.flash_kib}
    return {"ram_bytes": 1024 * wanted.ram_kib, **flash, "source": "the chip's maker"}


def device(wanted: Wanted, fitted: Fit, errors: Mapping[str, Any], watts: float | None) -> dict[str, Any]:
    """The description of a device, as its YAML file has it."""
    speed, source = fitted.speed[wanted.board], "fitted by tools/fit_microcontrollers.py"
    cycles = {name: share * speed * 1e3 * wanted.clock_mhz for name, share in fitted.shape.items()}
    values = {
        "clock_mhz": (wanted.clock_mhz, "the board's usual maximum"),
        "cycles_per_convolution_mac": (speed * 1e3 * wanted.clock_mhz, source),
        "cycles_per_depthwise_mac": (cycles["depthwise_macs"], source),
        "cycles_per_dense_mac": (cycles.get("dense_macs", speed * 1e3 * wanted.clock_mhz), source),
        "cycles_per_element": (cycles["elements"], source),
        "cycles_per_operator": (cycles.get("operators", 0.0), source),
        "weight_ms_per_mib": (fitted.shape.get("weight_bytes", 0.0) * speed * 2**20, source),
        "fixed_ms": (0.0, "not told apart from the rest"),
    }
    content: dict[str, Any] = {
        "name": wanted.name,
        "kind": "microcontroller",
        "description": f"{wanted.core} ({wanted.board}, {wanted.clock_mhz:g} MHz, {wanted.engine}), modelled",
        "precisions": ["int8"],
        "options": {
            "board": wanted.board,
            "engine": wanted.engine,
            "memory": memory_of(wanted),
            "constants": {
                name: {"value": float(f"{value:.5g}"), "source": where} for name, (value, where) in values.items()
            },
            "errors": dict(errors),
        },
    }
    if watts is not None:
        told = "MLPerf Tiny, energy over latency of the same submission, median of its networks"
        content["power"] = {
            "idle_watts": {"value": 0, "source": "not published; 0 counts all to the inference"},
            "active_watts": {"value": float(f"{watts:.4g}"), "source": told},
        }
    return content


def fit_all() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Descriptions of all devices, and the errors by device in detail."""
    tiny, watts = mlperf_points()
    h747, n6570 = zoo_points("h747_ms", "STM32H747"), zoo_points("n6570_ms", "STM32N6570")
    sets = {**dict.fromkeys(BOARDS, (tiny, SHAPE)), "STM32H747": (h747, SHAPE), "STM32N6570": (n6570, NPU_SHAPE)}
    clocks = {board: clock for board, (_, clock) in BOARDS.items()}
    by_board = leave_one_board_out(tiny, clocks, lambda board: BOARDS[board][0])
    devices, details = [], {}
    for wanted in WANTED:
        points, shape = sets[wanted.board]
        networks = leave_one_network_out(points, shape)[wanted.board]
        errors = {"networks": summary(networks)}
        if wanted.board in by_board:
            errors["a board"] = summary(by_board[wanted.board])
        details[wanted.name] = {"networks": networks, "board": by_board.get(wanted.board, {})}
        devices.append(device(wanted, fit(points, shape), errors, watts.get(wanted.board)))
    return devices, details


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the devices' files")
    parser.add_argument("--json", type=Path, help="write constants and errors to this file")
    options = parser.parse_args()
    devices, details = fit_all()
    for each in devices:
        name = each["name"]
        print(f"{name}: {each['description']}")
        for constant, entry in each["options"]["constants"].items():
            print(f"  {constant}: {entry['value']}")
        for what, errors in details[name].items():
            for network, error in errors.items():
                print(f"  {what} left out: {network}: {error:+.1%}")
        print(f"  errors: {each['options']['errors']}")
        if options.write:
            path = ROOT / "devices" / "catalog" / f"{name}.yaml"
            path.write_text("# Made by tools/fit_microcontrollers.py --write.\n" + dump_yaml(each), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"devices": devices, "errors": details}, indent=1) + "\n")


if __name__ == "__main__":
    main()
