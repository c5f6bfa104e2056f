"""What vendors' compilers and interpreters say, against what we predict: Ethos-U, microcontrollers.

    python tools/bench_vendors.py --json vendors.json [--quick] [--models DIR]

Parts: ``prediction`` (a table of blocks against whole networks that Vela compiled), ``arena`` (what is reported against
what the interpreter takes), ``microcontrollers`` (errors of networks left out), ``check`` (files of ``--models``: which
target takes them), ``search`` (a search within latency, SRAM and flash beside MobileNetV2 of many widths; trains for
about a quarter of an hour). ``--models`` is a folder of ``.tflite`` files of others, such as MLPerf Tiny's reference
models; ``--data-dir`` one of full data sets, without which ``search`` takes the images that come with EdgeNAS.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from vendors_bench import search as searching

from edgenas.cli.check import check_target
from edgenas.devices import get_device
from edgenas.export.micro.agreement import check_micro
from edgenas.export.micro.interpreter import NotTakenError, allocate
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.validation import Accuracy, validate
from edgenas.latency.profile.profiler import profile_space
from edgenas.spaces.errors import EdgeNASError
from edgenas.spaces.space.search_space import SearchSpace

PARTS = ("prediction", "arena", "microcontrollers", "check", "search")
DEVICE = "ethos-u55-128"
SPACES = {"tiny_edge": None, "mobilenet_edgetpu_v2": (96, 96, 3)}
TARGETS = ("coral", "ethos-u55-128", "tflm", "cpu")


def prediction(networks: int, seeds: Sequence[int]) -> dict[str, Any]:
    """A table of each space, made here, against whole networks of it that the compiler saw for the first time."""
    device, found = get_device(DEVICE), {}
    for name, shape in SPACES.items():
        space = SearchSpace.load(name, input_shape=shape)
        with tempfile.TemporaryDirectory() as folder:
            start, cpu = time.monotonic(), _processor_seconds()
            profiled = profile_space(space, device, precision="int8", table_path=Path(folder) / "table.csv")
            seconds, cpu = time.monotonic() - start, _processor_seconds() - cpu
        rows = [
            row for seed in seeds for row in validate(space, device, profiled.table, networks=networks, seed=seed).rows
        ]
        accuracy = Accuracy.of(
            np.array([row.predicted_ms for row in rows]), np.array([row.measured_ms for row in rows])
        )
        found[name] = {
            "networks": len(rows),
            "mape": accuracy.mape,
            "max_error": accuracy.max_error,
            "within_10pct": accuracy.within_10pct,
            "spearman": accuracy.spearman,
            "signatures": profiled.signatures,
            "profile_seconds": round(seconds, 1),
            "seconds_per_1000_signatures": round(1000 * seconds / profiled.signatures, 1),
            "processor_seconds_per_1000_signatures": round(1000 * cpu / profiled.signatures, 1),
            "memory": {cost: fit.to_json() for cost, fit in profiled.table.calibration.memory.items()}
            if profiled.table.calibration
            else {},
            "load_average": os.getloadavg()[0],
        }
        print(name, found[name])
    return found


def _processor_seconds() -> float:
    """Of this process and of those that compile for it: what wall-clock time is on a machine without neighbours."""
    total, ticks = time.process_time(), os.sysconf("SC_CLK_TCK")
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def arena(networks: int, seeds: Sequence[int], models: Path | None) -> list[dict[str, Any]]:
    """What the interpreter reports, whether it takes that, and whether it refuses 1 % less."""
    space = SearchSpace.load("tiny_edge")
    population = np.concatenate([space.sample(np.random.default_rng(seed), networks) for seed in seeds])
    contents = {str(space.architecture(row)): write_tflite(space.decode(row).graph, "int8") for row in population}
    contents |= _files(models)
    rows = []
    for name, content in contents.items():
        row: dict[str, Any] = {"model": name}
        try:
            total = allocate(content).total_bytes
            row |= {"arena_bytes": total, "takes_it": not _refuses(content, total)}
            row["refuses_less"] = _refuses(content, int(0.99 * total))
            told = check_micro(content)
            row["largest_difference_steps"] = None if told is None else told.steps
        except EdgeNASError as error:
            row["problem"] = str(error)
        rows.append(row)
        print(row)
    return rows


def _refuses(content: bytes, arena_bytes: int) -> bool:
    try:
        allocate(content, arena_bytes=arena_bytes)
    except NotTakenError:
        return True
    return False


def microcontrollers() -> dict[str, Any]:
    """Errors of networks and boards left out, by device."""
    path = Path(__file__).with_name("fit_microcontrollers.py")
    spec = importlib.util.spec_from_file_location("fit_microcontrollers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    devices, details = module.fit_all()
    found = {one["name"]: {"errors": one["options"]["errors"], "details": details[one["name"]]} for one in devices}
    for name, one in found.items():
        print(name, one["errors"])
    return found


def check(models: Path | None) -> list[dict[str, Any]]:
    """What each target takes of files of others."""
    rows = []
    for name, content in _files(models).items():
        for target in TARGETS:
            row: dict[str, Any] = {"model": name, "target": target}
            try:
                told = check_target(content, target)
                reasons = sorted({f"{one.op}: {one.reason}"[:120] for one in told.operators if not one.mapped})
                row |= {"compiled_for": told.compiled_for, "mapped": told.mapped, "operators": len(told.operators)}
                row["reasons"] = reasons
            except EdgeNASError as error:
                row["problem"] = str(error)
            rows.append(row)
            print(row)
    return rows


def _files(models: Path | None) -> dict[str, bytes]:
    return {} if models is None else {path.name: path.read_bytes() for path in sorted(models.glob("*.tflite"))}


def claims(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each figure that was asked for."""
    made: list[dict[str, Any]] = []
    for name, figures in found.get("prediction", {}).items():
        seconds = figures["processor_seconds_per_1000_signatures"]
        made += [
            claim(f"{name}: mean error of predictions against Vela", figures["mape"], 0.03),
            claim(f"{name}: share within 10 %", figures["within_10pct"], 1.0, least=True),
            claim(f"{name}: Spearman", figures["spearman"], 0.995, least=True),
            claim(f"{name}: seconds for 1,000 signatures", figures["seconds_per_1000_signatures"], 60.0),
            claim(f"{name}: processor seconds for 1,000 signatures", seconds, 60.0),
        ]
    rows = [row for row in found.get("arena", []) if "problem" not in row]
    if rows:
        exact = float(np.mean([row["takes_it"] and row["refuses_less"] for row in rows]))
        words = "share of networks whose arena the interpreter takes, and refuses with 1 % less"
        made.append(claim(words, exact, 1.0, least=True))
    if "microcontrollers" in found:
        error = found["microcontrollers"]["stm32h747"]["errors"]["networks"]["median"]
        made.append(claim("stm32h747: median error of networks left out", error, 0.25))
    if "search" in found:
        made += searching.claims(found["search"])
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--models", type=Path, help="folder of .tflite files of others")
    parser.add_argument("--networks", type=int, default=200, help="networks of a seed that tables are checked on")
    parser.add_argument("--arenas", type=int, default=20, help="networks of a seed whose arena is checked")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1); that of the search")
    parser.add_argument("--work", type=Path, help="folder that finished trainings are kept in")
    parser.add_common(
        seeds_help="draws of random networks",
        quick={"networks": 20, "arenas": 5},
        data_dir="folder of full data sets, for the part search",
    )
    return conduct(bench, parser.parse_args(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures after each part."""
    wanted, seeds = options.parts.split(","), seeds_of(options)
    found: dict[str, Any] = {"settings": {"parts": wanted}}
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        parts = {
            "prediction": lambda: prediction(options.networks, seeds),
            "arena": lambda: arena(options.arenas, seeds, options.models),
            "microcontrollers": microcontrollers,
            "check": lambda: check(options.models),
            "search": lambda: searching.search(work, options.data_dir, seeds[0], quick=options.quick),
        }
        for name, part in parts.items():
            if name in wanted:
                found[name] = part()
                yield found | {"claims": claims(found)}


if __name__ == "__main__":
    sys.exit(main())
