"""What it costs: profile a device into a latency table, predict networks and populations, check predictions."""

from edgenas.latency.check.validation import Validation, validate
from edgenas.latency.measure.quiet import measure_quiet
from edgenas.latency.measure.visits import QuietLatency, QuietSettings
from edgenas.latency.predict.predictor import Prediction, Predictor
from edgenas.latency.profile.profiler import ProfileResult, profile_space
from edgenas.latency.table.latency_table import LatencyTable, default_table_path

__all__ = [
    "LatencyTable",
    "Prediction",
    "Predictor",
    "ProfileResult",
    "QuietLatency",
    "QuietSettings",
    "Validation",
    "default_table_path",
    "measure_quiet",
    "profile_space",
    "validate",
]
