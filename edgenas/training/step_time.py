"""What a training step of a block costs on this machine: forward and backward on a batch, as TensorFlow computes it.

All blocks are visited in shuffled order, round after round. A small reference step, the *anchor*, is timed before and
after every visit: visits between slow anchors were disturbed by others and do not count where there are quiet ones. A
block's time is its fastest quiet run. What the optimizer adds depends on the parameters alone and is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.builder import build_graph
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Convolution
from edgenas.spaces.tensor import TensorSpec
from edgenas.training.runtime import light_graphs, release_graphs

_QUIET = 1.15
"""Anchors up to so many times the fastest were quiet."""
_TOGETHER = 64
"""So many blocks are built, and visited in one set of rounds, at once."""
Step = Callable[[], Any]


@dataclass(frozen=True)
class StepTime:
    """``spread`` is the relative distance of the quartiles over the visits, of which ``quiet`` were undisturbed."""

    step_ms: float
    spread: float
    quiet: int
    visits: int


def step_of(graph: OpGraph, batch: int, seed: int = 0) -> Step:
    """One forward and backward pass of a graph on a random batch: gradients of all its weights and of its inputs."""
    tf = tensorflow()
    model = build_graph(graph, "step")
    rng = np.random.default_rng(seed)
    inputs = [_random(tf, spec, batch, rng) for _, spec in graph.inputs]
    floats = [value for value in inputs if value.dtype.is_floating]

    def run() -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            weights = [getattr(variable, "value", variable) for variable in model.trainable_variables]
            tape.watch([*weights, *floats])
            outputs = model(inputs[0] if len(inputs) == 1 else inputs, training=True)
            parts = outputs if isinstance(outputs, (list, tuple)) else [outputs]
            loss = tf.add_n([tf.reduce_mean(tf.square(tf.cast(part, tf.float32))) for part in parts])
        gradients = tape.gradient(loss, [*weights, *floats])
        # One number depends on all of them, so that nothing is left out.
        return tf.add_n([loss, *(tf.reduce_max(one) for one in gradients if one is not None)])

    compiled = tf.function(run, autograph=False)

    def step() -> Any:
        return compiled().numpy()

    return step


def measure_steps(
    graphs: Mapping[str, OpGraph],
    batch: int,
    *,
    rounds: int = 5,
    visit_seconds: float = 0.02,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda done, all: None,
) -> dict[str, StepTime]:
    """The step time of every graph, by its name; ``told`` hears of how many are done.

    Args:
        graphs: what is timed.
        batch: examples of a step.
        rounds: visits to each.
        visit_seconds: of a visit; a longer step is run twice.
        seed: of the order and of the batches.
        told: progress.
    """
    names, found = list(graphs), dict[str, StepTime]()
    rng = np.random.default_rng(seed)
    for start in range(0, len(names), _TOGETHER):
        chosen = names[start : start + _TOGETHER]
        release_graphs()
        with light_graphs():
            anchor = step_of(_anchor_graph(), 8)
            steps = {name: step_of(graphs[name], batch, seed) for name in chosen}
            for step in (anchor, *steps.values()):
                step()
            visits: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
            for _ in range(rounds):
                for place in rng.permutation(len(chosen)):
                    name = chosen[place]
                    visits[name].append(_visit(steps[name], anchor, visit_seconds))
        fastest = min(anchor_ms for seen in visits.values() for _, anchor_ms in seen)
        found |= {name: _step_time(seen, fastest) for name, seen in visits.items()}
        told(start + len(chosen), len(names))
    return found


def _random(tf: Any, spec: TensorSpec, batch: int, rng: np.random.Generator) -> Any:
    shape = (batch, *spec)
    if spec.dtype.startswith("float"):
        return tf.constant(rng.normal(size=shape).astype(np.float32))
    return tf.zeros(shape, spec.dtype)


def _anchor_graph() -> OpGraph:
    builder = GraphBuilder((16, 16, 8))
    return builder.build(builder.add("conv", Convolution(16, kernel=3), builder.inputs[0]))


def _visit(step: Step, anchor: Step, seconds: float) -> tuple[float, float]:
    """(fastest run, slower of the anchors around) in ms."""
    before = _timed(anchor)
    end = time.perf_counter() + seconds
    runs = [_timed(step), _timed(step)]
    while time.perf_counter() < end:
        runs.append(_timed(step))
    return min(runs), max(before, _timed(anchor))


def _timed(step: Step) -> float:
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1e3


def _step_time(visits: Sequence[tuple[float, float]], fastest_anchor_ms: float) -> StepTime:
    times = np.array([run for run, _ in visits])
    quiet = np.array([anchor_ms <= _QUIET * fastest_anchor_ms for _, anchor_ms in visits])
    low, middle, high = np.quantile(times, (0.25, 0.5, 0.75))
    value = float((times[quiet] if quiet.any() else times).min())
    return StepTime(value, float((high - low) / middle), int(quiet.sum()), len(visits))
