"""The report's table of quantizations, and the quiet latency as what a prediction is compared with."""

from __future__ import annotations

import pytest

from edgenas.report.data import ReportData, ShippedModel
from edgenas.report.load_model import statistics
from edgenas.report.load_table import compared
from edgenas.report.quantizations import quantization_table, quantizations_html

ROW = {
    "quantization": "int8",
    "top1": 0.884,
    "difference": -0.003,
    "size_bytes": 170840,
    "sqnr_db": 32.04,
    "worst_layer": {"tensor": "stage3/add;<b>", "sqnr_db": 24.8},
    "latency": {"quiet_ms": 0.0814, "spread": 0.02},
    "times_float32": 1.215,
}
DOCUMENT = {"trial": 0, "device": "local-cpu", "test_images": 2000, "top1_float": 0.887}


def test_one_row_per_quantization_in_words_for_people() -> None:
    failed = {"quantization": "int16x8", "error": "no <kernel>"}
    unmeasured = ROW | {"latency": {"error": "refused"}, "times_float32": None, "worst_layer": None, "sqnr_db": 200.0}
    table = quantization_table(DOCUMENT | {"rows": [ROW, failed, unmeasured]})
    assert "2,000 test images, where the float model has 88.70 %" in table.caption
    first = ("int8", "88.40 %", "-0.30", "170,840 bytes", "0.0814 ms", "1.22 x", "32.0 dB", "stage3/add, 24.8 dB")
    assert table.rows[0] == first
    assert table.rows[1][:2] == ("int16x8", "failed: no <kernel>")
    assert table.rows[2][4:] == ("none: refused", "", "equal", "")
    assert {len(row) for row in table.rows} == {len(table.header)}
    page = quantizations_html(table)
    assert "no &lt;kernel&gt;" in page
    assert "<kernel>" not in page


@pytest.mark.parametrize("document", [{}, [], DOCUMENT | {"rows": [{}]}, DOCUMENT | {"rows": [ROW | {"latency": {}}]}])
def test_another_document_is_an_error_that_the_report_names(document: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        quantization_table(document)  # type: ignore[arg-type]


def test_a_prediction_is_compared_with_the_quiet_latency() -> None:
    found = statistics({"min": 0.1, "median": 0.12, "quiet": {"quiet_ms": 0.09, "visits": 16}})
    assert found == {"min": 0.1, "median": 0.12, "quiet": 0.09}
    data = ReportData("r", "r", shipped=ShippedModel("int8", latency_ms=found))
    assert compared(data, "quiet_min") == "quiet"
    assert compared(data, "simulated") == "median"
    old = ReportData("r", "r", shipped=ShippedModel("int8", latency_ms=statistics({"min": 0.1, "median": 0.12})))
    assert compared(old, "quiet_min") == "min"
    assert statistics({"min": 1.0, "quiet": {"error": "gone"}}) == {"min": 1.0}
