"""Settings, provenance and versions as rows of two texts, for the tables at the end of a report."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgenas.export.figure import origin
from edgenas.latency.table.error_figures import in_words
from edgenas.report.data import Rows
from edgenas.report.text import milliseconds, percent
from edgenas.study.evaluators import SHORT_TRAINING

if TYPE_CHECKING:
    from edgenas.latency.table.energy_header import TableEnergy
    from edgenas.latency.table.latency_table import LatencyTable
    from edgenas.recipe.recipe import Recipe

_PACKAGES = ("edgenas", "tensorflow", "keras", "ai-edge-litert", "numpy", "optuna")
_STATISTICS = {"quiet_min": "quiet latency (the fastest undisturbed run)"}


def settings_rows(recipe: Recipe) -> Rows:
    """The settings that matter most; the recipe itself stands below them in full."""
    search, training = recipe.search, recipe.training
    images = "all training images" if search.training.images is None else f"{search.training.images:,} images"
    options = ", ".join(f"{key} {value}" for key, value in search.options.items())
    of_search = (
        ("reward", recipe.objective.reward),
        ("algorithm", search.algorithm + (f" ({options})" if options else "")),
        ("trials", f"{recipe.trials}, {search.workers} at once"),
        (
            ("short training", f"{_epochs(search.training.epochs)} on {images}")
            if search.evaluator == SHORT_TRAINING
            else ("evaluator", search.evaluator)
        ),
        ("finalists", _finalists(recipe)),
    )
    return (
        ("seed", str(recipe.seed)),
        ("budget", _budget(recipe)),
        *(() if recipe.is_fixed else of_search),
        ("validation share", percent(recipe.data.validation_fraction, 0)),
        ("final training", f"{_epochs(training.epochs)}, batch {training.batch_size}, rate {training.learning_rate:g}"),
        ("quantization", recipe.export.quantization),
        ("threads on the device", ", ".join(str(device.threads) for device in recipe.budgeted_devices)),
    )


def _budget(recipe: Recipe) -> str:
    """The limits; where one is a list, all of it."""
    limits = {name: f"{value:,g}" for name, value in recipe.limits.items()}
    if recipe.budget_list is not None:
        device, cost, values = recipe.budget_list
        limits[recipe.cost_name(cost, device)] = ", ".join(f"{value:,g}" for value in values)
    return "; ".join(f"{name.replace('@', ' on ')} {words}" for name, words in limits.items()) or "none"


def _finalists(recipe: Recipe) -> str:
    search = recipe.search
    if search.finalists == 1:
        return "none"
    return f"{search.finalists}, for {percent(search.finalist_share, 0)} of the final training each"


def _epochs(epochs: int) -> str:
    return f"{epochs} epoch{'s' * (epochs != 1)}"


def table_rows(table: LatencyTable) -> Rows:
    """The header of a latency table, in words."""
    calibration = table.calibration
    ratio = None if calibration is None else calibration.deployed_median
    rows = [
        ("device", table.device),
        ("processor", table.cpu_model),
        ("system", table.system),
        ("runtime", f"{table.runtime} {table.runtime_version}"),
        ("threads", str(table.threads)),
        ("precision", table.precision),
        (f"blocks {table.provenance.kind}", f"{len(table.rows):,}"),
        ("statistic", statistic_name(table.statistic)),
        ("protocol", table.protocol),
        ("governor", table.governor),
        (f"{table.provenance.kind} at", table.created),
        ("error on whole networks", table_error(table)),
        ("energy of blocks", None if table.energy is None else table.energy.describe()),
        ("median of a normal run", None if ratio is None else f"{ratio:.3f} times the quiet latency"),
    ]
    return tuple((key, value) for key, value in rows if value)


def energy_origin(energy: TableEnergy, device: str) -> str:
    """Where predicted energies come from: ``energies measured on pi (rapl: package-0)``."""
    return f"energies {origin(energy.kind, device)} ({energy.meter})"


def table_error(table: LatencyTable) -> str:
    """How wrong the table's predictions were, one sentence."""
    calibration = table.calibration
    if calibration is None or calibration.mape is None:
        return "The table was not compared with whole networks, so its error is unknown."
    error = in_words(calibration.mape, calibration.max_error, calibration.mape_interval)
    return f"The table's own {error}, leave-one-out on {calibration.networks} {table.networks_kind} networks."


def statistic_name(statistic: str) -> str:
    """A table's statistic in words."""
    return _STATISTICS.get(statistic, statistic)


def flat_rows(values: Mapping[str, Any], prefix: str = "") -> Rows:
    """``{"a": {"b": 1}}`` as ``(("a b", "1"),)``; what is not known is left out."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            rows += flat_rows(value, f"{name} ")
        elif key.endswith("_ms") and isinstance(value, int | float):
            rows.append((name.removesuffix(" ms"), milliseconds(value)))
        elif value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((name, text))
    return tuple(rows)


def version_rows() -> Rows:
    """Versions of Python and of the packages that decide about the results, as installed where this report is made."""
    rows = [("python", platform.python_version())]
    for name in _PACKAGES:
        try:
            rows.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(rows)
