"""What it costs: profile a device into a latency table, predict networks and populations, check predictions."""

from latency.predictor import Prediction, Predictor
from latency.profiler import ProfileResult, profile, profile_space
from latency.quiet import QuietSettings, measure_quiet
from latency.table import LatencyTable, default_table_path
from latency.validation import Validation, validate

__all__ = [
    "LatencyTable",
    "Prediction",
    "Predictor",
    "ProfileResult",
    "QuietSettings",
    "Validation",
    "default_table_path",
    "measure_quiet",
    "profile",
    "profile_space",
    "validate",
]
