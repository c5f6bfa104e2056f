"""What it costs: profile a device into a latency table, predict networks and populations, check predictions."""

from latency.predictor import Prediction, Predictor
from latency.profiler import ProfileResult, profile, profile_space
from latency.quiet import measure_quiet
from latency.table import LatencyTable, default_table_path
from latency.validation import Validation, validate
from latency.visits import QuietLatency, QuietSettings

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
    "profile",
    "profile_space",
    "validate",
]
