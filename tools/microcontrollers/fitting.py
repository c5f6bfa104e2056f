"""Fits a core's constants to public measurements, and says how wrong they are on what they were not fitted on.

Boards share the shape of a core's costs (how much dearer a depthwise multiply-accumulate is than one of a convolution,
and so on) and differ in their speed. Errors are those of logarithms, constants are drawn weakly towards physical
priors, so that a board with four networks tells a constant only as far as these do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.devices.kinds.microcontroller_model import MicroWork

#: Shares of the shape, relative to a multiply-accumulate of a convolution: prior and its spread (of the logarithm).
SHAPE: Mapping[str, tuple[float, float]] = {
    "depthwise_macs": (2.0, 0.7),
    "dense_macs": (1.0, 0.5),
    "elements": (3.0, 1.0),
    "operators": (1000.0, 1.5),
}
_NOISE = 0.15
_STEPS, _DAMPING = 60, 1e-3


@dataclass(frozen=True)
class Point:
    """One measurement: a network on a board, in ms."""

    board: str
    network: str
    work: MicroWork
    latency_ms: float


@dataclass(frozen=True)
class Fit:
    """``shape`` by field of :class:`MicroWork`; ``speed`` is ms per multiply-accumulate of a convolution, by board."""

    shape: Mapping[str, float]
    speed: Mapping[str, float]

    def latency_ms(self, work: MicroWork, speed: float) -> float:
        """Of a network on a board of this speed."""
        equivalent = work.convolution_macs + sum(share * getattr(work, name) for name, share in self.shape.items())
        return speed * equivalent


def fit(points: Sequence[Point], shape: Mapping[str, tuple[float, float]] = SHAPE) -> Fit:
    """Least squares of logarithms with priors, by Gauss-Newton."""
    boards = sorted({point.board for point in points})
    names = list(shape)
    prior = np.log([shape[name][0] for name in names])
    spread = np.array([shape[name][1] for name in names])
    found = np.concatenate([prior, np.zeros(len(boards))])
    for place, board in enumerate(boards):
        ratios = [point.latency_ms / max(_equivalent(point.work, names, prior), 1.0) for point in _of(points, board)]
        found[len(names) + place] = np.log(np.median(ratios))

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        speeds = dict(zip(boards, values[len(names) :], strict=True))
        errors = [
            (np.log(_equivalent(one.work, names, values[: len(names)])) + speeds[one.board] - np.log(one.latency_ms))
            / _NOISE
            for one in points
        ]
        return np.concatenate([np.array(errors), (values[: len(names)] - prior) / spread])

    for _ in range(_STEPS):
        now = residuals(found)
        step = 1e-5
        slopes = np.stack([(residuals(found + step * unit) - now) / step for unit in np.eye(len(found))], axis=1)
        found = found - np.linalg.solve(slopes.T @ slopes + _DAMPING * np.eye(len(found)), slopes.T @ now)
    speeds = np.exp(found[len(names) :])
    return Fit(
        dict(zip(names, map(float, np.exp(found[: len(names)])), strict=True)),
        dict(zip(boards, map(float, speeds), strict=True)),
    )


def _equivalent(work: MicroWork, names: Sequence[str], logs: NDArray[np.float64]) -> float:
    return work.convolution_macs + sum(
        float(np.exp(log)) * getattr(work, name) for name, log in zip(names, logs, strict=True)
    )


def _of(points: Sequence[Point], board: str) -> list[Point]:
    return [point for point in points if point.board == board]


def leave_one_network_out(
    points: Sequence[Point], shape: Mapping[str, tuple[float, float]] = SHAPE
) -> dict[str, dict[str, float]]:
    """Relative errors by board and network: each network was taken from all boards before it was predicted."""
    errors: dict[str, dict[str, float]] = {}
    for network in sorted({point.network for point in points}):
        rest = [point for point in points if point.network != network]
        fitted = fit(rest, shape)
        for point in points:
            if point.network == network and point.board in fitted.speed:
                guess = fitted.latency_ms(point.work, fitted.speed[point.board])
                errors.setdefault(point.board, {})[network] = guess / point.latency_ms - 1
    return errors


def leave_one_board_out(
    points: Sequence[Point], clocks: Mapping[str, float], core: Callable[[str], str]
) -> dict[str, dict[str, float]]:
    """The same with all measurements of a board left out: its speed is that of the others of its core at its clock."""
    errors: dict[str, dict[str, float]] = {}
    for board in sorted({point.board for point in points}):
        rest = [point for point in points if point.board != board]
        fitted = fit(rest)
        cycles = {name: speed * clocks[name] for name, speed in fitted.speed.items()}
        alike = [each for name, each in cycles.items() if core(name) == core(board)] or list(cycles.values())
        speed = float(np.exp(np.mean(np.log(alike)))) / clocks[board]
        errors[board] = {
            point.network: fitted.latency_ms(point.work, speed) / point.latency_ms - 1 for point in _of(points, board)
        }
    return errors


def summary(errors: Mapping[str, float]) -> dict[str, float]:
    """Median and largest absolute error."""
    sizes = np.abs(list(errors.values()))
    return {"median": round(float(np.median(sizes)), 4), "max": round(float(sizes.max()), 4), "networks": len(sizes)}


def fields() -> tuple[str, ...]:
    """Of what a model asks for."""
    return tuple(field.name for field in dataclasses.fields(MicroWork))
