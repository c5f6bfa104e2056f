"""What ``benchmark_model`` prints, in the forms of its versions, whole and damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgenas.devices.device import MeasurementError
from edgenas.devices.kinds.benchmark_output import BenchmarkSummary, parse_benchmark

# The forms of benchmark_model.cc and stats_calculator.h: first without, then with percentiles and levels.
UNTIL_2024 = """\
STARTING!
Log parameter values verbosely: [0]
Min num runs: [1000]
Num threads: [1]
Graph: [/data/local/tmp/model.tflite]
#threads used for CPU inference: [1]
Loaded model /data/local/tmp/model.tflite
INFO: Initialized TensorFlow Lite runtime.
The input model file size (MB): 1.41812
Initialized session in 17.851ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=478 first=2104 curr=1017 min=1012 max=2104 avg=1041.15 std=63

Running benchmark for at least 1000 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=1000 first=1040 curr=1018 min=1012 max=1190 avg=1039.66 std=22

Inference timings in us: Init: 17851, First inference: 2104, Warmup (avg): 1041.15, Inference (avg): 1039.66
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory \
footprint of the model at runtime. Take the information at your discretion.
Memory footprint delta from the start of the tool (MB): init=7.40234 overall=7.83203
"""
SINCE_2025 = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [4]
INFO: Graph: [0.tflite]
INFO: #threads used for CPU inference: [4]
INFO: Loaded model 0.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 31 out of 31 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions.
INFO: The input model file size (MB): 0.497264
INFO: Initialized session in 66.002ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=637079 p5=637079 median=637079 p95=637079

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=520 first=2531 curr=2793 min=1171 max=9925 avg=1885.74 std=870 p5=1203 median=1700 p95=3104

INFO: Inference timings in us: Init: 66002, First inference: 637079, Warmup (avg): 637079, Inference (avg): 1885.74
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=7.40234 overall=7.83203
"""


def test_form_with_percentiles():
    summary = parse_benchmark(SINCE_2025)
    assert summary == BenchmarkSummary(520, 1, 1171, 9925, 1885.74, 1203, 1700, 3104)
    samples = summary.samples_ms()
    assert (samples[0], samples[5], samples[50], samples[95], samples[-1]) == (1.171, 1.203, 1.7, 3.104, 9.925)
    assert list(samples) == sorted(samples)


def test_form_without_percentiles_is_read_but_tells_no_median():
    summary = parse_benchmark(UNTIL_2024)
    assert (summary.runs, summary.warmup_runs, summary.min_us, summary.mean_us) == (1000, 478, 1012, 1039.66)
    with pytest.raises(MeasurementError, match="prints no median"):
        summary.samples_ms()


def test_equal_times_and_large_means_have_forms_of_their_own():
    text = SINCE_2025.replace(
        "count=520 first=2531 curr=2793 min=1171 max=9925 avg=1885.74 std=870 p5=1203 median=1700 p95=3104",
        "count=50 curr=7(all same) p5=7 median=7 p95=7",
    )
    summary = parse_benchmark(text)
    assert (summary.runs, summary.min_us, summary.max_us, summary.mean_us) == (50, 7, 7, 7)
    assert set(summary.samples_ms()) == {0.007}
    assert len(summary.samples_ms()) == 41
    assert parse_benchmark(SINCE_2025.replace("avg=1885.74", "avg=1.88574e+06")).mean_us == 1885740


def test_lines_may_end_as_on_windows():
    assert parse_benchmark(SINCE_2025.replace("\n", "\r\n")) == parse_benchmark(SINCE_2025)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it printed nothing"),
        (
            "ERROR: Could not open '0.tflite'.\nERROR: Failed to load model 0.tflite\nERROR: Benchmarking failed.\n",
            "load",
        ),
        ("sh: ./benchmark_model: not found", "not found"),
        (SINCE_2025.partition("INFO: Inference timings")[0], "did not finish"),
        ("Segmentation fault", "Segmentation fault"),
    ],
)
def test_failures_keep_the_programs_words(text, said):
    with pytest.raises(MeasurementError, match=said):
        parse_benchmark(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(SINCE_2025)), st.text(max_size=20))
def test_a_damaged_text_is_an_error_or_the_same_numbers(place, insert):
    text = SINCE_2025[:place] + insert
    try:
        summary = parse_benchmark(text)
        summary.samples_ms()
    except MeasurementError:
        return
    assert summary.median_us == 1700


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_any_text_is_an_error(text):
    with pytest.raises(MeasurementError):
        parse_benchmark(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=60))
def test_what_the_program_prints_of_any_times_is_read(times):
    times_sorted = sorted(times)

    def percentile(share: int) -> int:
        return times_sorted[len(times) * share // 100]

    if len(set(times)) == 1:
        line = f"count={len(times)} curr={times[0]}" + ("(all same)" if len(times) > 1 else "")
    else:
        line = (
            f"count={len(times)} first={times[0]} curr={times[-1]} min={min(times)} max={max(times)} "
            f"avg={sum(times) / len(times):.6g} std=3"
        )
    line += f" p5={percentile(5)} median={percentile(50)} p95={percentile(95)}"
    text = f"INFO: count=1 curr=5\n\nINFO: {line}\n\nINFO: Inference timings in us: Init: 5, First inference: 5\n"
    samples = parse_benchmark(text).samples_ms()
    assert len(samples) <= len(times)
    assert np.median(samples) == pytest.approx(percentile(50) / 1000, rel=1e-4, abs=2e-5)
    assert list(samples) == sorted(samples)
    if len(samples) > 1:
        assert samples[0] == pytest.approx(min(times) / 1000, abs=1e-5)
        assert samples[-1] == pytest.approx(max(times) / 1000, abs=1e-5)
