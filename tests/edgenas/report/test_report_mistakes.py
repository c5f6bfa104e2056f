"""What a file gets wrong: found, kept with the trial, and read back for the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgenas.report.mistakes import read_mistakes
from edgenas.run.mistakes import MOST_PIXELS, data_url, mistakes_path
from edgenas.tasks.mistakes import find_mistakes

RIGHT = {
    "format": 1,
    "trial": 4,
    "quantization": "int8",
    "model_sha256": "abc",
    "examples": 3,
    "labels": ["a", "b"],
    "confusion": [[0, 0, 1], [1, 0, 2]],
    "wrong": [{"index": 2, "true": 1, "predicted": 0, "confidence": 0.75, "picture": None}],
}


def test_every_confused_pair_is_shown_before_any_twice():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 200)
    targets = rng.integers(0, 3, 200)
    found = find_mistakes(probabilities, targets, kept=8)
    wrong = probabilities.argmax(axis=1) != targets
    assert found.confusion.sum() == 200
    assert sum(count for true, predicted, count in found.triples if true != predicted) == wrong.sum()
    pairs = [(one.true, one.predicted) for one in found.wrong]
    assert len(set(pairs[:6])) == 6  # all six pairs of three classes
    assert len(found.wrong) == 8
    first = found.wrong[0]
    of_pair = [i for i in np.flatnonzero(wrong) if (targets[i], probabilities[i].argmax()) == pairs[0]]
    assert first.confidence == pytest.approx(max(probabilities[i].max() for i in of_pair), abs=1e-4)


def test_not_a_number_is_an_answer_for_no_class():
    found = find_mistakes(np.array([[np.nan, 0.5], [0.2, 0.8]]), np.array([0, 1]))
    assert found.triples == [(0, 2, 1), (1, 1, 1)]
    assert found.wrong[0].confidence == 0.0


def test_a_model_without_mistakes_has_none():
    found = find_mistakes(np.eye(3), np.arange(3))
    assert found.wrong == ()


@pytest.mark.parametrize(("side", "channels", "kind"), [(28, 1, "png"), (32, 3, "png"), (300, 3, "jpeg")])
def test_pictures_are_small(side: int, channels: int, kind: str):
    picture = np.random.default_rng(0).integers(0, 256, (side, side, channels), np.uint8)
    url = data_url(picture)
    assert url.startswith(f"data:image/{kind};base64,")
    assert len(url) < 4 * MOST_PIXELS**2


def written(folder: Path, document: object) -> Path:
    path = folder / "mistakes.json"
    path.write_text(json.dumps(document))
    return path


def test_reads_what_was_written(tmp_path: Path):
    found = read_mistakes(written(tmp_path, RIGHT), {"model.tflite": "abc"})
    assert found is not None
    assert found.confusion == {(0, 0): 1, (1, 0): 2}
    assert found.wrong[0].picture == ""
    assert read_mistakes(written(tmp_path, RIGHT), {"model.tflite": "of another file"}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"confusion": [[0, 5, 1]]},
        {"confusion": [[0, 0, -1]]},
        {"wrong": [{**RIGHT["wrong"][0], "true": "x"}]},  # type: ignore[dict-item]
        {"wrong": [{**RIGHT["wrong"][0], "picture": "https://example.org/a.png"}]},  # type: ignore[dict-item]
        {"wrong": [{**RIGHT["wrong"][0], "picture": 'data:image/png;base64,AA" onerror="x'}]},  # type: ignore[dict-item]
        {"labels": None},
    ],
)
def test_anything_else_is_refused(tmp_path: Path, change: dict):
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_mistakes(written(tmp_path, {**RIGHT, **change}), {})


def test_the_name_of_a_quantization_is_no_path(tmp_path: Path):
    assert mistakes_path(tmp_path, "../int8").parent == tmp_path / "final"
