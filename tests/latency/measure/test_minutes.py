"""Minutes that were slower or faster for all long models, told from the models."""

import numpy as np
import pytest

from edgenas.latency.measure.minutes import Look, minute_factors
from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.visits import QuietSettings, Visits

ANCHOR_MS = 0.005


def session(rng: np.random.Generator, effects: np.ndarray, models: int, busy: float) -> list[Look]:
    """Shuffled visits to models of 1 to 20 ms, of which a share is disturbed."""
    latencies = np.geomspace(1.0, 20.0, models)
    looks = []
    for place, effect in enumerate(effects):
        model = int(rng.integers(models))
        disturbed = rng.uniform(1.0, 1.5) if rng.random() < busy else 1.0
        taken = latencies[model] * effect * disturbed * rng.normal(1.0, 0.015)
        looks.append(Look(place, f"model {model}", float(taken)))
    return looks


@pytest.mark.parametrize("busy", [0.0, 0.4])
def test_slower_minutes_are_told_from_slower_models(busy: float) -> None:
    true = 1 + 0.04 * np.sin(np.arange(2000) / 200)
    found = minute_factors(session(np.random.default_rng(0), true, 150, busy), len(true))
    assert found * true / np.median(true) == pytest.approx(np.ones(2000), abs=0.02)
    assert np.std(np.log(found * true)) < 0.3 * np.std(np.log(true))


def test_minutes_that_did_not_differ_change_nothing() -> None:
    found = minute_factors(session(np.random.default_rng(1), np.ones(1000), 100, 0.3), 1000)
    assert found == pytest.approx(np.ones(1000), abs=0.012)


def test_one_model_alone_tells_nothing_of_its_minutes() -> None:
    looks = [Look(place, "m", 1.0 + 0.01 * place) for place in range(10)]
    assert minute_factors(looks, 12).tolist() == [1.0] * 12
    assert minute_factors([], 3).tolist() == [1.0] * 3


def test_models_visited_in_different_minutes_can_be_compared() -> None:
    """Early ones are seen in slow minutes and late ones in fast ones; some were visited all the time."""
    rng, visits = np.random.default_rng(2), Visits(QuietSettings(), anchor_ms=ANCHOR_MS)
    true_us = {
        f"{when} {index}": rng.uniform(300, 900, 12) for when in ("early", "late", "always") for index in range(30)
    }
    slow = {"early": 1.04, "late": 0.97}
    for when, factor in slow.items():
        for _ in range(6):
            names = [name for name in true_us if name.startswith((when, "always"))]
            for name in rng.permutation(names):
                runs = [np.round(factor * true_us[name] * rng.normal(1.0, 0.005, 12)).astype(int) for _ in range(6)]
                anchors = ((ANCHOR_MS, ANCHOR_MS),) * 6
                visits.add(name, OperatorVisit(anchors, tuple(tuple(map(int, run)) for run in runs)))
    found = {name: each.latency_ms / true_us[name].sum() * 1e3 for name, each in visits.latencies(true_us).items()}
    early, late = (np.mean([ratio for name, ratio in found.items() if name.startswith(when)]) for when in slow)
    assert early / late == pytest.approx(1.0, abs=0.015)  # 1.07 by the clock
