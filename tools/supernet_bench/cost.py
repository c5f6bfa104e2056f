"""What a step of a supernet's training costs beside one of the space's largest network, and how much memory it takes.

Each is measured in a process of its own, on one thread; processor time, since others use the machine too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarking.claims import claim
from benchmarking.options import seeds_of

from edgenas.supernet.families import Families
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import SupernetSettings
from edgenas.supernet.training import SupernetTraining
from edgenas.training.settings import TrainingSettings
from edgenas.training.train import train
from supernet_bench.ground import Ground, make_ground
from supernet_bench.ranking import lesson_of

_WARM_STEPS = 3
_KIB = 1024


def run_cost(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document. Of several seeds, the median of each figure."""
    runs = {
        name: [_alone(measure, options) for _ in seeds_of(options)]
        for name, measure in (("supernet", _supernet), ("largest", _largest))
    }
    found = {
        name: {figure: statistics.median(one[figure] for one in each) for figure in each[0]}
        for name, each in runs.items()
    }
    supernet, largest = found["supernet"], found["largest"]
    step = supernet["step_seconds"] / largest["step_seconds"]
    whole = supernet["peak_mib"] / largest["peak_mib"]
    own = supernet["own_mib"] / largest["own_mib"]
    return {
        "measured": found,
        "runs": runs,
        "claims": [
            claim("processor time of a step over that of the largest network", step, 2.5),
            claim("peak memory over that of the largest network's training", whole, 3.0),
            claim("the same without what TensorFlow and the images take", own, 3.0),
        ],
    }


def _alone(measure: Callable[[argparse.Namespace], dict[str, float]], options: argparse.Namespace) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        plain = argparse.Namespace(**{name: value for name, value in vars(options).items() if name != "run"})
        return pool.apply(measure, (plain,))


def _supernet(options: argparse.Namespace) -> dict[str, float]:
    ground, before = _prepared(options)
    settings = SupernetSettings(batch_size=options.batch_size)
    training = SupernetTraining(Supernet(ground.space), lesson_of(ground, 0), settings)
    start = time.process_time()
    training.run(until=_WARM_STEPS)
    traced = time.process_time()
    training.run(until=_WARM_STEPS + options.steps)
    return {"before_seconds": traced - start, "step_seconds": (time.process_time() - traced) / options.steps} | _peak(
        before
    )


def _largest(options: argparse.Namespace) -> dict[str, float]:
    ground, before = _prepared(options)
    network = ground.space.decode(ground.space.architecture(Families(ground.space, 0).largest.rows[0]))
    images = ground.training.subset(options.steps * options.batch_size, 0)
    marks = [time.process_time()]
    train(
        network,
        images,
        TrainingSettings(epochs=2, batch_size=options.batch_size),
        task=ground.task,
        seed=0,
        preprocessing=ground.preprocessing,
        on_epoch=lambda progress: marks.append(time.process_time()),
    )
    return {"before_seconds": 0.0, "step_seconds": (marks[2] - marks[1]) / options.steps} | _peak(before)


def _prepared(options: argparse.Namespace) -> tuple[Ground, float]:
    from edgenas.export._tensorflow import tensorflow

    for set_threads in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        getattr(tensorflow().config.threading, set_threads)(1)
    ground = make_ground(options)
    # Reading the images took more than what is kept of them.
    Path("/proc/self/clear_refs").write_text("5")
    return ground, _memory_mib("VmRSS")


def _memory_mib(name: str) -> float:
    """A figure of this process's memory as Linux keeps it: VmRSS is what is held now, VmHWM the most since a reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) / _KIB


def _peak(before: float) -> dict[str, float]:
    peak = _memory_mib("VmHWM")
    return {"peak_mib": peak, "own_mib": peak - before}
