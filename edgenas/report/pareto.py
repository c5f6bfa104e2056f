"""The Pareto front of a search, as a mask and as a table that other programs read."""

from __future__ import annotations

import csv
import io

import numpy as np

from edgenas.report.data import ReportData

COLUMNS = (
    "trial",
    "architecture",
    "top1",
    "latency_ms",
    "energy_mj",
    "reward",
    "on_front",
    "on_energy_front",
    "feasible",
    "chosen",
    "state",
    "provenance",
    "top1_provenance",
    "latency_provenance",
    "energy_provenance",
    "device",
    "precision",
    "metric",
    "score",
)


def pareto_front(costs: np.ndarray, qualities: np.ndarray) -> np.ndarray:
    """Which points no other point beats: ``bool`` of shape (N,).

    A point is beaten when another one costs no more and is no worse, and is better in one of the two. Equal points
    do not beat each other, so they are on the front together. Points with a NaN are never on it and beat nobody.

    >>> pareto_front(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.9])).tolist()
    [True, False, True]
    """
    costs, qualities = np.asarray(costs, float), np.asarray(qualities, float)
    front = np.zeros(len(costs), bool)
    valid = np.flatnonzero(~(np.isnan(costs) | np.isnan(qualities)))
    # Cheapest first, of equal cost the best first: a point is beaten exactly when one of less cost reached its quality,
    # or one of equal cost surpasses it.
    order = valid[np.lexsort((-qualities[valid], costs[valid]))]
    cost, quality = costs[order], qualities[order]
    first_of_cost = np.searchsorted(cost, cost, side="left")
    best_so_far = np.concatenate([[-np.inf], np.maximum.accumulate(quality)])
    best_of_cost = quality[first_of_cost]
    front[order] = (quality == best_of_cost) & (best_of_cost > best_so_far[first_of_cost])
    return front


def trial_front(data: ReportData, cost: str = "latency_ms") -> np.ndarray:
    """The front of validation accuracy against a predicted cost over the finished trials: bool, one per trial.

    ``cost``: ``latency_ms`` or ``energy_mj``.
    """
    costs = [getattr(trial, cost) for trial in data.trials]
    return pareto_front(
        np.array([np.nan if value is None else value for value in costs]),
        np.array([np.nan if trial.score is None else trial.score for trial in data.trials]),
    )


def pareto_csv(data: ReportData) -> str:
    """The trials as CSV, one line each in the order they were tried; what is unknown stays empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    others = [_other_columns(one) for one in data.others]
    columns = (*COLUMNS, *(column for one in others for column in one))
    writer.writerow(columns)
    fronts = zip(data.trials, trial_front(data), trial_front(data, "energy_mj"), strict=True)
    for index, (trial, on_front, on_energy_front) in enumerate(fronts):
        row: dict[str, object] = {
            "trial": trial.number,
            "architecture": trial.architecture,
            "top1": trial.score if data.metric == "top1" else None,
            "latency_ms": trial.latency_ms,
            "energy_mj": trial.energy_mj,
            "reward": trial.reward,
            "on_front": bool(on_front),
            "on_energy_front": None if trial.energy_mj is None else bool(on_energy_front),
            "feasible": trial.feasible,
            "chosen": trial.number == data.best_trial,
            "state": trial.state,
            "provenance": "" if trial.latency_ms is None and trial.energy_mj is None else "predicted",
            "top1_provenance": "" if trial.score is None or data.metric != "top1" else f"evaluated {data.score_origin}",
            "latency_provenance": "" if trial.latency_ms is None else f"predicted {data.latency_origin}",
            "energy_provenance": "" if trial.energy_mj is None else f"predicted {data.energy_origin}",
            "device": data.device,
            "precision": data.precision,
            "metric": data.metric,
            "score": trial.score,
        }
        for one in others:
            row |= {column: values[index] for column, values in one.items()}
        writer.writerow(["" if row[column] is None else _plain(row[column]) for column in columns])
    return buffer.getvalue()


def _other_columns(data: ReportData) -> dict[str, list[object]]:
    """The costs of a further device, as columns that name it."""
    fronts = {"latency_ms": trial_front(data), "energy_mj": trial_front(data, "energy_mj")}
    columns: dict[str, list[object]] = {}
    for cost, words, known in (
        ("latency_ms", "on_front", data.latency_origin),
        ("energy_mj", "on_energy_front", data.energy_origin),
    ):
        values = [getattr(trial, cost) for trial in data.trials]
        columns[f"{cost}@{data.device}"] = values
        columns[f"{words}@{data.device}"] = [
            None if value is None else bool(front) for value, front in zip(values, fronts[cost], strict=True)
        ]
        name = f"{cost.partition('_')[0]}_provenance@{data.device}"
        columns[name] = ["" if value is None else f"predicted {known}" for value in values]
    return columns


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else value
