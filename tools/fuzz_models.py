"""Damaged and hostile models: what every command that reads a model makes of them.

    python tools/fuzz_models.py --mutations 1000 --commands check,predict,simulate,compare,benchmark --json fuzz.json

Mutations of real models, of fixed seeds: flipped bytes, cut-off files, shifted offsets, huge lengths, swapped ranges.
``check``, ``predict``, ``choose`` (entries, open sides, inputs) and ``compare``'s reading run in this process: an
answer or an InputError is right, anything else is counted as a crash. ``answers`` (``edgenas compare`` as a whole),
``bundle`` (``edgenas bundle verify``) and ``benchmark`` run the model in another process, which may die: the parent
must go on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.metadata import read_metadata, with_metadata
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import chain

if TYPE_CHECKING:
    from edgenas.latency.table.latency_table import LatencyTable

#: A model that takes longer than this (processor time) to be read is as bad as one that crashes the reader.
SLOWEST_SECONDS = 2.0
Command = Callable[[bytes], object]


def seeds() -> list[bytes]:
    """Small real models: with and without groups, squeeze-excite and metadata, float and int8."""
    network = chain(
        "fuzzed",
        (16, 16, 3),
        {
            "stem": ConvBnAct(8, 3, 2, "hard_swish"),
            "ibn": InvertedBottleneck(8, 5, 1, 2, "relu6", se_ratio=0.25),
            "grouped": GroupConvInvertedBottleneck(16, 3, 2, 2, groups=2),
            "head": ClassifierHead(4),
        },
    )
    models = [write_tflite(network.graph, precision) for precision in ("int8", "float32", "float16")]
    described = with_metadata(
        models[0],
        name="fuzzed",
        description="",
        version="1",
        licence="",
        labels="abcd",
        preprocessing=Preprocessing((0.5,), (0.5,)),
    )
    return [described, *models[1:]]


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """Damaged models, the same ones for the same seed."""
    rng, models = np.random.default_rng(seed), seeds()
    kinds = (flip, truncate, shift_offset, huge_number, swap, insert)
    for index in range(count):
        model = bytearray(models[int(rng.integers(len(models)))])
        for _ in range(int(rng.integers(1, 4))):
            kinds[int(rng.integers(len(kinds)))](model, rng)
        if index % 97 == 0:
            model = bytearray()
        yield bytes(model)


def _place(model: bytearray, rng: np.random.Generator) -> int:
    """Somewhere in the file; every other time in its first or last 2 KB, where the structure is."""
    reach = len(model) if rng.random() < 0.5 else min(2048, len(model))
    place = int(rng.integers(max(reach, 1)))
    return place if rng.random() < 0.5 else max(0, len(model) - 1 - place)


def flip(model: bytearray, rng: np.random.Generator) -> None:
    """A few bytes get other values."""
    for _ in range(int(rng.integers(1, 9))):
        if model:
            model[_place(model, rng)] = int(rng.integers(256))


def truncate(model: bytearray, rng: np.random.Generator) -> None:
    """The end is missing."""
    del model[int(rng.integers(len(model) + 1)) :]


def _overwrite(model: bytearray, rng: np.random.Generator, value: int) -> None:
    if len(model) >= 8:
        struct.pack_into("<I", model, min(_place(model, rng) & ~3, len(model) - 4), value & 0xFFFFFFFF)


def shift_offset(model: bytearray, rng: np.random.Generator) -> None:
    """An offset points a little beside, or backwards."""
    if len(model) >= 8:
        place = min(_place(model, rng) & ~3, len(model) - 4)
        (value,) = struct.unpack_from("<I", model, place)
        struct.pack_into("<I", model, place, (value + int(rng.integers(-64, 65))) & 0xFFFFFFFF)


def huge_number(model: bytearray, rng: np.random.Generator) -> None:
    """A length or an offset is enormous."""
    _overwrite(model, rng, int(rng.choice([0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x00FFFFFF, 0x40000000, 0])))


def swap(model: bytearray, rng: np.random.Generator) -> None:
    """Two parts change places."""
    if len(model) > 64:
        size = int(rng.integers(1, 32))
        first, second = (int(rng.integers(len(model) - size)) for _ in range(2))
        part = bytes(model[first : first + size])
        model[first : first + size] = model[second : second + size]
        model[second : second + size] = part


def insert(model: bytearray, rng: np.random.Generator) -> None:
    """Some bytes too many, so that all behind them moves."""
    place = _place(model, rng) if model else 0
    model[place:place] = rng.integers(0, 256, int(rng.integers(1, 17)), dtype=np.uint8).tobytes()


def check(model: bytes) -> object:
    """What ``edgenas check`` reads."""
    from edgenas.export.compilers.edgetpu.check import check_edgetpu

    return check_edgetpu(model).to_json()


@cache
def table() -> LatencyTable:
    """A table whose latencies are made up from multiply-accumulates: here only reading matters."""
    from edgenas.latency.table.latency_table import LatencyTable, Row
    from edgenas.spaces.space.search_space import SearchSpace

    entries = SearchSpace.load("tiny_edge").signatures("int8")
    return LatencyTable(
        device="none",
        precision="int8",
        runtime="none",
        runtime_version="0",
        threads=1,
        protocol="made up",
        anchor_ms=1.0,
        created="2000-01-01T00:00:00Z",
        rows={name: Row(1e-3 + entry.graph.macs * 1e-7) for name, entry in list(entries.items())[::6]},
    )


def predict(model: bytes) -> object:
    """What ``edgenas predict`` does with a table."""
    from edgenas.latency.predict.model_prediction import predict_model

    return predict_model(model, table()).to_json()


def simulate(model: bytes) -> object:
    """What ``edgenas predict`` and ``benchmark`` do on a simulated device, which reads every operator."""
    from edgenas.devices import get_device

    return get_device("edgetpu-sim").measure(model)


def figures(model: bytes) -> object:
    """What ``edgenas compare`` and bundles read: figures, metadata, matching layers, the arena."""
    from edgenas.export.quantization.layer_matching import match_layers
    from edgenas.export.tflite.arena import estimate_arena
    from edgenas.export.tflite.model_figures import model_figures

    read_metadata(model)
    estimate_arena(model)
    match_layers(model, model)
    return model_figures(model)


def choose(model: bytes) -> object:
    """What all verbs read first: entries, open sides, what inputs are fed."""
    from edgenas.cli.model_options import choose_model

    return choose_model(model).to_json()


def answers(model: bytes) -> object:
    """What ``edgenas compare`` does: both files are run, in a process of its own."""
    from edgenas.compare.models import compare_models

    return compare_models(model, model)


READERS: dict[str, Command] = {
    **{"check": check, "predict": predict, "simulate": simulate, "compare": figures},
    "choose": choose,
}


#: Readers that start processes: seconds a model.
RUNNERS: dict[str, Command] = {"answers": answers}


def outcome(command: Command, model: bytes) -> str:
    """``answer``, ``refused``, or what else happened."""
    start = time.process_time()  # of this process: a busy machine makes no reader slow
    try:
        command(model)
        kind = "answer"
    except InputError:
        kind = "refused"
    except WorkError:  # a device's no
        kind = "refused"
    except Exception as error:  # anything else is the bug that this looks for
        return f"crash: {type(error).__name__}: {error}"[:200]
    return kind if time.process_time() - start < SLOWEST_SECONDS else f"slow ({kind})"


def read_all(count: int, seed: int, names: list[str]) -> dict[str, Counter[str]]:
    """Outcomes of the commands that read in this process."""
    counts = {name: Counter[str]() for name in names}
    for name in names:  # loads what a first call loads, and shows that whole models are answered
        (READERS | RUNNERS)[name](seeds()[0])
    for model in mutations(count, seed):
        for name in names:
            counts[name][outcome((READERS | RUNNERS)[name], model)] += 1
    return counts


def benchmark_all(count: int, seed: int) -> Counter[str]:
    """Outcomes of measuring, in one call: those that can be read, as the command line refuses the others first."""
    from edgenas.devices import MeasurementError, MeasureSettings, get_device
    from edgenas.export.tflite.reader import read_operators

    counts: Counter[str] = Counter()
    models: dict[str, bytes] = {}
    for index, model in enumerate(mutations(count, seed)):
        try:
            read_operators(model)
            models[str(index)] = model
        except InputError:
            counts["refused"] += 1
    settings = MeasureSettings(warmup_seconds=0.0, min_runs=5, max_runs=5, max_seconds=0.05, timeout_seconds=10.0)
    for found in get_device("local-cpu").measure_many(models, settings).values():
        if not isinstance(found, MeasurementError):
            counts["answer"] += 1
        elif "signal" in str(found):
            counts["runner died, reported"] += 1
        elif "no answer within" in str(found):
            counts["runner hung, reported"] += 1
        else:
            counts["refused by the runtime"] += 1
    return counts


def bundle_all(count: int, seed: int) -> Counter[str]:
    """Outcomes of ``edgenas bundle verify`` on folders whose model was damaged; every one has to be found."""
    from edgenas.export.bundle.bundle import verify_bundle
    from edgenas.export.bundle.check import FILES

    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = hashlib.sha256(seeds()[0]).hexdigest()
        for file in FILES:
            (folder / file).write_text("{}")
        metrics = {"checksums": {"model.tflite": whole}, "preprocessing": {"mean": [0.5], "std": [0.5]}}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        for model in mutations(count, seed):
            (folder / "model.tflite").write_bytes(model)

            def verify(content: bytes) -> object:
                if not any(problem.startswith("model.tflite: ") for problem in verify_bundle(folder)):
                    raise AssertionError("damage was not found")
                raise InputError("found")

            counts[outcome(verify, model)] += 1
    return counts


def main() -> int:
    """Runs the commands and prints the counts; exit code 1 when anything crashed or was slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default="check,predict,simulate,compare,choose,benchmark")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    names = arguments.commands.split(",")
    counts = read_all(arguments.mutations, arguments.seed, [name for name in names if name in READERS | RUNNERS])
    if "bundle" in names:
        counts["bundle"] = bundle_all(arguments.mutations, arguments.seed)
    if "benchmark" in names:
        counts["benchmark"] = benchmark_all(arguments.mutations, arguments.seed)
    for name, outcomes in counts.items():
        print(f"{name}: {', '.join(f'{count} {kind}' for kind, count in outcomes.most_common())}")
    document = {"mutations": arguments.mutations, "seed": arguments.seed, "outcomes": counts}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return int(any(kind.startswith(("crash", "slow")) for outcomes in counts.values() for kind in outcomes))


if __name__ == "__main__":
    sys.exit(main())
