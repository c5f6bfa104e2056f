"""Samples of a model's latency: it is warmed up, then runs until the median is certain or the time is over.

Goes to boards beside :mod:`edgenas.devices.on_device.runner`, which says how it is set. Python >= 3.7.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np


def measure(interpreter: Any, settings: dict[str, Any]) -> tuple[list[float], int, int]:
    """Warms up, then times invocations. Returns (samples in ms, warm-up runs, invocations per sample)."""
    invoke, clock = interpreter.invoke, time.perf_counter_ns
    warmup_runs, fastest = 0, float("inf")
    start = clock()
    while warmup_runs < 2 or clock() - start < settings["warmup_seconds"] * 1e9:
        before = clock()
        invoke()
        fastest = min(fastest, clock() - before)
        warmup_runs += 1
    batch = max(1, math.ceil(settings["shortest_sample_seconds"] * 1e9 / max(fastest, 1)))
    confidence, limit = settings["confidence"], settings["max_seconds"] * 1e9
    samples: list[float] = []
    check_at = settings["min_runs"]
    start = clock()
    while len(samples) < settings["max_runs"]:
        before = clock()
        for _ in range(batch):
            invoke()
        after = clock()
        samples.append((after - before) / batch / 1e6)
        count = len(samples)
        if count < settings["min_runs"]:
            # A model so slow that even the fewest runs take very long: 5 samples are enough to go on.
            if count >= 5 and after - start > 4 * limit:
                break
            continue
        if after - start > limit:
            break
        if confidence is not None and count >= check_at:
            median, half_width = median_half_width(samples)
            if half_width <= confidence * median:
                break
            check_at = int(count * 1.3) + 1
    return samples, warmup_runs, batch


def median_half_width(samples: list[float]) -> tuple[float, float]:
    """Median and half-width of its 95 % confidence interval (order statistics, no distribution assumed)."""
    ordered = np.sort(samples)
    count = len(ordered)
    reach = 0.98 * math.sqrt(count)
    low = max(0, math.floor(count / 2.0 - reach))
    high = min(count - 1, math.ceil(count / 2.0 + reach))
    return float(np.median(ordered)), float(ordered[high] - ordered[low]) / 2.0


def thin(samples: list[float], keep: int | None) -> list[float]:
    """At most ``keep`` samples: evenly spaced quantiles, the smallest and largest among them."""
    if keep is None or len(samples) <= keep:
        return samples
    ordered = sorted(samples)
    return [ordered[round(place)] for place in np.linspace(0, len(ordered) - 1, keep)]
