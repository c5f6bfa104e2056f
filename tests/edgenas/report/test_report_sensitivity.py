"""The report's tables of mixed precision."""

from __future__ import annotations

from typing import Any

import pytest

from edgenas.report.sensitivity import sensitivity_html, sensitivity_tables


def judged(score: float, sqnr_db: float, **more: float) -> dict[str, float]:
    return {"score": score, "sqnr_db": sqnr_db, **more}


def latency(**told: Any) -> dict[str, Any]:
    return {"latency": told, "devices": {"ethos-u55-64": {"latency": told}}}


DOCUMENT = {
    "trial": 3,
    "device": "ethos-u55-64",
    "metric": "top1",
    "examples": 1000,
    "float_score": 0.9,
    "int8": judged(0.88, 14.2, loss=0.02),
    "limit": 0.005,
    "layers": [
        {
            "index": 4,
            "operator": "CONV_2D",
            "tensor": "head<b>_1/Relu;head/conv",
            "alone": judged(0.89, 15.5, loss=0.01),
            "without": judged(0.885, 16.25, gain=0.005),
        }
    ],
    "float32": {"size_bytes": 400} | latency(error="it is a float model"),
    "choices": [
        {"keep": None, "kept": [], "size_bytes": 100, "taken": False, **judged(0.88, 14.2, loss=0.02)}
        | latency(quiet_ms=0.5, kind="simulated"),
        {"keep": "float", "kept": [4], "size_bytes": 130, "taken": True, **judged(0.9, 30.0, loss=0.0)}
        | latency(quiet_ms=0.4, kind="simulated", uncounted=3),
    ],
    "words": ["with <one> layer"],
}


def test_layers_and_choices_in_words_for_people() -> None:
    tables = sensitivity_tables(DOCUMENT)
    assert "1,000 validation examples, where the float model has 90.00 % and int8 88.00 %" in tables.layers.caption
    assert tables.layers.rows == (("head<b>", "CONV_2D", "15.5 dB", "1.00", "16.2 dB", "+0.50"),)
    assert [row[0] for row in tables.choices.rows] == ["none: int8", "head<b> in float", "everything: float32"]
    assert "without 3 operators on the CPU" in tables.choices.rows[1][4]
    assert tables.choices.rows[1][-1] == "taken"
    assert "none: it is a float model" in tables.choices.rows[2][4]
    assert "simulated" in tables.choices.header[4]
    assert {len(row) for row in tables.choices.rows} == {len(tables.choices.header)}
    page = sensitivity_html(tables)
    assert "with &lt;one&gt; layer" in page
    assert "head<b>" not in page


@pytest.mark.parametrize("document", [{}, [], DOCUMENT | {"choices": [{}]}, DOCUMENT | {"layers": [{"index": 1}]}])
def test_another_document_is_an_error_that_the_report_names(document: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        sensitivity_tables(document)  # type: ignore[arg-type]
