"""Compares search algorithms on a table of architectures with known accuracy and cost.

    python tools/bench_search.py --table T.csv --architecture arch --accuracy acc --cost macs --json OUT.json

Every algorithm searches the table under a budget (a share of the largest cost in it) with many seeds. OUT.json holds
the best accuracy found after 20, 50, 100, ... samples: mean, standard error and quartiles over the seeds, in the
table's own unit. The same curves for every sample go to OUT.csv and, as a picture, to OUT.html.

    python tools/bench_search.py --quick --json OUT.json

does the same with a synthetic table (``tools/synthetic_table.py``) where none is given, and fewer searches.

    python tools/bench_search.py --suggest-latency --json OUT.json

times a suggestion instead, after 1,000 and 10,000 finished trials on real spaces (no table is needed).

Where the accuracy column is a test accuracy, it is reward and result at once: such figures compare algorithms, and
overstate what a search on validation accuracy would find.
"""

from __future__ import annotations

import argparse
import csv
import functools
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarking.claims import claim
from benchmarking.document import conduct, machine
from benchmarking.options import BenchParser, count, counts, located
from synthetic_table import KINDS, table_csv

from edgenas.export.files import write_atomically
from edgenas.search import algorithm_class, algorithm_names
from edgenas.search.benchmark.replay import Replay, replay_pool, replay_seeds
from edgenas.search.benchmark.tabular import load_table
from edgenas.search.models.suggest_latency import suggest_latency
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace

CHECKPOINTS = (10, 20, 50, 100, 200, 300, 500, 1000)
NOTE = (
    "reward and result are the same column: where that is a test accuracy, the figures compare algorithms and "
    "overstate what a search on validation accuracy would find"
)
SLOW = ("gp", "hypervolume", "tpe")
"""Algorithms that ``--algorithms cheap`` leaves out: 20 milliseconds a sample and more."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.suggest_latency:
        needed = () if options.table is None and options.kind else ("table", "architecture", "accuracy", "cost")
        for name in needed:
            if getattr(options, name) is None:
                parser.error(f"--{name} is needed (or --suggest-latency, or --quick)")
    if options.suggest_latency:
        return conduct(suggest_latencies, options, lambda found: print(latency_table(found)))
    return conduct(replayed, options, lambda found: print(text_table(found)))


def replayed(options: argparse.Namespace) -> dict[str, Any]:
    """The figures, on a synthetic table where none is given. Curves go to files beside that of ``--json``."""
    if options.table is not None:
        result, curves = run(options)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write_atomically(path, table_csv(options.kind, 0))
            columns = {"table": str(path), "architecture": "arch", "accuracy": "accuracy", "cost": "cost"}
            result, curves = run(argparse.Namespace(**vars(options) | columns))
        result["table"] = f"synthetic_table.py --kind {options.kind} --seed 0"
    if options.json:
        write_atomically(options.json.with_suffix(".csv"), curves_csv(curves))
        write_atomically(options.json.with_suffix(".html"), plot(curves, result))
    return result | {"claims": claims(result)}


def claims(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At each number of samples, ``auto`` beside ``random``, where both have searched."""
    found = result["algorithms"]
    if not {"auto", "random"} <= set(found):
        return []
    return [
        claim(
            f"mean accuracy of auto above that of random after {place} samples",
            mean - found["random"]["mean"][place],
            0.0,
            least=True,
        )
        for place, mean in found["auto"]["mean"].items()
        if place in found["random"]["mean"]
    ]


def _parser() -> BenchParser:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--table", help="csv file with one architecture per row; looked up in --data-dir too")
    parser.add_argument("--architecture", metavar="COL", help="text column: 2101 or 8:16:8")
    parser.add_argument("--accuracy", metavar="COL", help="column to maximise")
    parser.add_argument("--cost", metavar="COL", help="column under the budget")
    parser.add_argument("--train-seconds", metavar="COL", help="column with the training time of a trial")
    parser.add_argument(
        "--budget-fraction", type=_fraction, default=0.5, help="share of the largest cost; 1: no budget (default 0.5)"
    )
    parser.add_argument("--algorithms", default="all", help="names with commas, or all, or cheap (default all)")
    parser.add_argument(
        "--options", default="{}", metavar="JSON", help='options by algorithm: {"layernas": {"buckets": 50}}'
    )
    parser.add_argument("--suggest-latency", action="store_true", help="time suggestions instead of replaying a table")
    parser.add_argument("--spaces", default="tiny_edge,mobilenet_edgetpu_v2", help="for --suggest-latency")
    parser.add_argument("--finished", type=counts, default="1000,10000", help="finished trials, for --suggest-latency")
    parser.add_argument("--kind", choices=KINDS, help="make a synthetic table of this kind where none is given")
    parser.add_argument("--samples", type=count, default=200, help="architectures per search (default 200)")
    parser.add_argument(
        "--until-best",
        action="store_true",
        help="end a search at the best possible architecture: the same figures sooner, but for times and trials",
    )
    parser.add_argument("--processes", type=count, default=os.cpu_count() or 1, help="default: all cores")
    parser.add_common(
        seeds=100,
        seeds_help="searches per algorithm",
        quick={"kind": "rugged", "algorithms": "cheap", "samples": 50, "seeds": 8, "finished": "300"},
        data_dir="folder of the table",
    )
    return parser


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and at most 1, found {text!r}")
    return value


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]]:
    """The JSON document, and by algorithm the (seeds, samples) best accuracies so far."""
    names = chosen_algorithms(options.algorithms)
    try:
        algorithm_options = json.loads(options.options)
    except ValueError as error:
        raise InputError(f"--options: expected JSON, found {options.options!r} ({error})") from None
    path = located(options.table, options.data_dir)
    load = functools.partial(
        load_table, str(path), options.architecture, options.accuracy, (options.cost,), options.train_seconds
    )
    table = load()
    limits = {options.cost: options.budget_fraction * float(np.nanmax(table.costs[options.cost]))}
    table.problem(options.samples, limits)
    result: dict[str, Any] = {
        "table": str(path),
        "best_feasible": table.best(limits),
        "architectures": table.space.size,
        "feasible": int(table.feasible(limits).sum()),
        "budget": limits,
        "settings": {
            "accuracy": options.accuracy,
            "budget_fraction": options.budget_fraction,
            "samples": options.samples,
            "seeds": list(range(options.seeds)),
            "options": algorithm_options,
            "until_best": options.until_best,
        },
        "provenance": machine() | {"processes": options.processes},
        "note": NOTE,
        "algorithms": {},
    }
    curves = {}
    with replay_pool(load, min(options.processes, options.seeds)) as pool:
        for name in names:
            start = time.perf_counter()
            replays = replay_seeds(
                load,
                limits,
                name,
                algorithm_options.get(name, {}),
                options.samples,
                range(options.seeds),
                pool,
                options.until_best,
            )
            curves[name] = np.stack([replay.best for replay in replays])
            result["algorithms"][name] = summary(replays) | {"wall_seconds": round(time.perf_counter() - start, 2)}
            print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return result, curves


def suggest_latencies(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document: milliseconds by space, number of finished trials and algorithm."""
    names = [name for name in chosen_algorithms(options.algorithms) if options.algorithms != "all" or name not in SLOW]
    figures: dict[str, Any] = {}
    for space_name in options.spaces.split(","):
        space = SearchSpace.load(space_name)
        for trials in options.finished:
            found = {name: asdict(suggest_latency(space, name, trials)) for name in names}
            figures.setdefault(space_name, {})[str(trials)] = found
    return {
        "suggest_latency": figures,
        "settings": {"budget": "macs, median of random ones"},
        "provenance": machine() | {"processes": 1},
        "claims": [],
    }


def latency_table(document: Mapping[str, Any]) -> str:
    """What is printed of :func:`suggest_latencies`."""
    lines = [f"{'ms per suggestion':24}{'finished':>10}{'rebuilt':>10}{'median':>10}{'worst':>10}{'cpu':>10}"]
    for space, by_count in document["suggest_latency"].items():
        lines.append(space)
        for trials, by_name in by_count.items():
            for name, found in by_name.items():
                cells = "".join(f"{found[key]:10.1f}" for key in ("rebuilt_ms", "median_ms", "worst_ms", "cpu_ms"))
                lines.append(f"  {name:22}{trials:>10}{cells}")
    return "\n".join(lines)


def chosen_algorithms(text: str) -> list[str]:
    """Names that were asked for. Raises InputError for one that is unknown or lacks its extra.

    ``all`` and ``cheap`` leave out what lacks its extra and say so on standard error.
    """
    if text not in ("all", "cheap"):
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            problem = algorithm_class(name).missing()
            if problem:
                raise InputError(problem)
        return names
    names = []
    for name in algorithm_names():
        if text == "cheap" and name in SLOW:
            continue
        problem = algorithm_class(name).missing()
        if problem:
            print(f"left out {name}: {problem}", file=sys.stderr)
        else:
            names.append(name)
    return names


def summary(replays: Sequence[Replay]) -> dict[str, Any]:
    """Statistics over the seeds at every checkpoint."""
    best = np.stack([replay.best for replay in replays])
    samples = best.shape[1]
    places = [place for place in CHECKPOINTS if place <= samples]
    if samples not in places:
        places.append(samples)
    statistics: dict[str, dict[str, float]] = {"mean": {}, "standard_error": {}, "q25": {}, "median": {}, "q75": {}}
    for place in places:
        column = best[:, place - 1]
        column = column[np.isfinite(column)]
        if not len(column):
            continue
        error = column.std(ddof=1) / np.sqrt(len(column)) if len(column) > 1 else 0.0
        values = (column.mean(), error, *np.quantile(column, (0.25, 0.5, 0.75)))
        for name, value in zip(("mean", "standard_error", "q25", "median", "q75"), values, strict=True):
            statistics[name][str(place)] = float(value)
    document: dict[str, Any] = dict(statistics)
    document["seconds"] = round(sum(replay.seconds for replay in replays), 2)
    document["trials"] = float(np.mean([replay.trials for replay in replays]))
    if replays[0].train_seconds is not None:
        totals = np.mean([replay.train_seconds for replay in replays if replay.train_seconds is not None], axis=0)
        document["train_seconds"] = {str(place): float(totals[place - 1]) for place in places}
    return document


def curves_csv(curves: Mapping[str, npt.NDArray[np.float64]]) -> str:
    """Mean and quartiles after every sample, one row each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["algorithm", "samples", "mean", "q25", "median", "q75"])
    for name, best in curves.items():
        for sample, column in enumerate(best.T, start=1):
            column = column[np.isfinite(column)]
            if len(column):
                figures = (column.mean(), *np.quantile(column, (0.25, 0.5, 0.75)))
                writer.writerow([name, sample, *(f"{value:.6g}" for value in figures)])
    return text.getvalue()


def plot(curves: Mapping[str, npt.NDArray[np.float64]], result: Mapping[str, Any]) -> str:
    """A self-contained page with one line per algorithm: its mean distance to the best possible."""
    import plotly.graph_objects as graph

    figure = graph.Figure()
    for name, best in curves.items():
        regret = result["best_feasible"] - np.nanmean(best, axis=0) if np.isfinite(best).any() else []
        figure.add_scatter(x=np.arange(1, best.shape[1] + 1), y=regret, mode="lines", name=name)
    figure.update_layout(
        title=f"{Path(result['table']).name}: {result['feasible']} architectures within the budget, "
        f"{len(result['settings']['seeds'])} seeds",
        xaxis_title="architectures evaluated",
        yaxis_title="mean distance to the best possible",
        yaxis_type="log",
    )
    return str(figure.to_html(include_plotlyjs=True))


def text_table(result: Mapping[str, Any]) -> str:
    """What is printed: the means, best last checkpoint first."""
    algorithms = result["algorithms"]
    places = max((list(found["mean"]) for found in algorithms.values()), key=len, default=[])
    ranking = sorted(algorithms, key=lambda name: -algorithms[name]["mean"].get(places[-1], -np.inf))
    lines = [f"best possible {result['best_feasible']:.4f}, {result['feasible']} of {result['architectures']} feasible"]
    lines.append(f"{'':24}" + "".join(f"{place:>18}" for place in places) + f"{'core s':>9}")
    for name in ranking:
        found = algorithms[name]
        cells = [
            f"{found['mean'][place]:.4f} ±{found['standard_error'][place]:.4f}" if place in found["mean"] else "-"
            for place in places
        ]
        lines.append(f"{name:24}" + "".join(f"{cell:>18}" for cell in cells) + f"{found['seconds']:9.1f}")
    lines.append(f"note: {result['note']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
