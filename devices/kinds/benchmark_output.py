"""What the runtime's ``benchmark_model`` prints, read: the only way to a latency on a phone without Python.

    INFO: Loaded model /data/local/tmp/m.tflite
    INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
    INFO: count=478 first=2104 curr=1017 min=1012 max=2104 avg=1041.15 std=63 p5=1013 median=1018 p95=1190

    INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
    INFO: count=1000 first=1040 curr=1018 min=1012 max=1190 avg=1039.66 std=22 p5=1014 median=1038 p95=1071

    INFO: Inference timings in us: Init: 17851, First inference: 2104, Warmup (avg): 1041.15, Inference (avg): 1039.66

Times are whole microseconds. The first ``count=`` line is the warm-up, the last one the benchmark. Equal times are
printed as ``count=50 curr=7(all same)``. Programs from before 2025 print neither ``INFO:`` nor p5, median and p95
(formats: ``benchmark_model.cc`` and ``stats_calculator.h`` of TensorFlow Lite and LiteRT).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgenas.devices.device import MeasurementError

_STATISTICS = re.compile(r"^(?:INFO: )?count=\d+(?: \w+=\S+)*$")
# So many evenly spaced quantiles have the printed ones among them (the last two: only some).
_COUNTS = (101, 81, 61, 41, 21, 5, 3, 1)
_ERROR = re.compile(
    r"^(?:ERROR: |\s*error: |.*(?:not found|inaccessible|No such file|Permission denied|Failed to))", re.I
)


@dataclass(frozen=True)
class BenchmarkSummary:
    """Statistics in microseconds over ``runs`` timed runs; what older programs do not print is None."""

    runs: int
    warmup_runs: int
    min_us: float
    max_us: float
    mean_us: float
    p5_us: float | None = None
    median_us: float | None = None
    p95_us: float | None = None

    def samples_ms(self) -> tuple[float, ...]:
        """The distribution as evenly spaced quantiles in ms: between those that were printed, straight lines.

        Not more quantiles than there were runs. Raises MeasurementError when the program printed no median.

        >>> BenchmarkSummary(7, 5, 10.0, 50.0, 22.0, 11.0, 20.0, 40.0).samples_ms()
        (0.01, 0.015, 0.02, 0.03111, 0.05)
        """
        if self.median_us is None or self.p5_us is None or self.p95_us is None:
            raise MeasurementError(
                "this benchmark_model prints no median: take one of 2025 or later, "
                "https://ai.google.dev/edge/litert/models/measurement"
            )
        places = (0.0, 0.05, 0.5, 0.95, 1.0)
        values = (self.min_us, self.p5_us, self.median_us, self.p95_us, self.max_us)
        count = next(count for count in _COUNTS if count <= self.runs or count == 1)
        if count == 1:
            return (self.median_us / 1000,)
        return tuple(_between(index / (count - 1), places, values) for index in range(count))


def _between(share: float, places: tuple[float, ...], values: tuple[float, ...]) -> float:
    for (left, low), (right, high) in zip(
        zip(places, values, strict=True), zip(places[1:], values[1:], strict=True), strict=False
    ):
        if share <= right:
            return round((low + (high - low) * (share - left) / (right - left)) / 1000, 5)
    return values[-1] / 1000


def parse_benchmark(text: str) -> BenchmarkSummary:
    """Reads all that one run of ``benchmark_model`` printed. Raises MeasurementError with its words of failure."""
    found = [parsed for line in text.splitlines() if (parsed := _statistics(line)) is not None]
    finished = "Inference timings in us: Init: " in text
    if len(found) < 2 or not finished:
        raise MeasurementError(f"benchmark_model did not finish: {_words(text)}")
    warmup, timed = found[-2], found[-1]
    try:
        same = None if "min" in timed else timed["curr"]
        return BenchmarkSummary(
            runs=int(timed["count"]),
            warmup_runs=int(warmup["count"]),
            min_us=timed["min"] if same is None else same,
            max_us=timed["max"] if same is None else same,
            mean_us=timed["avg"] if same is None else same,
            p5_us=timed.get("p5"),
            median_us=timed.get("median"),
            p95_us=timed.get("p95"),
        )
    except KeyError as error:
        raise MeasurementError(f"benchmark_model printed no {error}: {_words(text)}") from None


def _statistics(line: str) -> dict[str, float] | None:
    line = line.replace("(all same)", "").strip()
    if not _STATISTICS.match(line):
        return None
    try:
        pairs = (word.split("=") for word in line.removeprefix("INFO: ").split())
        return {key: float(value) for key, value in pairs}
    except ValueError:
        return None


def _words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return "; ".join((errors or lines)[-3:])[:400] or "it printed nothing"
