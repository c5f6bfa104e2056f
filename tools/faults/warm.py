"""Loads, once, what commands import, so that forked ones start in milliseconds. TensorFlow is not loaded."""

from __future__ import annotations

import importlib

_MODULES = (
    *(
        "optuna",
        "optuna.storages._rdb.storage",
        "sqlalchemy.dialects.sqlite",
        "alembic",
        "pydantic",
        "yaml",
        "rich.table",
    ),
    *("PIL.Image", "PIL.PngImagePlugin", "PIL.JpegImagePlugin", "PIL.BmpImagePlugin", "PIL.WebPImagePlugin"),
    *("edgenas.cli", "edgenas.run.pipeline", "edgenas.report", "edgenas.data", "edgenas.study.evaluation"),
    *("edgenas.description", "edgenas.run.search", "edgenas.latency.predict.model_prediction"),
    *("edgenas.latency.profile.profiler", "edgenas.devices", "edgenas.export.quantization", "edgenas.export.compilers"),
    *("plotly.graph_objects", "faults.stand_ins"),
)


def load() -> None:
    """Imports the modules."""
    for name in _MODULES:
        importlib.import_module(name)
