"""The controller alone: what it learns of rewards that are made up."""

import numpy as np
import pytest

from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.controller import Controller, ControllerSettings
from edgenas.supernet.families import Families
from edgenas.supernet.quality_model import Floats, Population, QualityModel


def as_it_is(qualities: Floats, rows: Population) -> Floats:
    return qualities


@pytest.mark.parametrize("expected", [0, 32])
def test_finds_the_options_that_are_rewarded(space: SearchSpace, expected: int) -> None:
    controller = Controller(space, ControllerSettings(learning_rate=0.05, samples=4, expected=expected))
    rng = np.random.default_rng(0)
    for step in range(400):
        rows = controller.sample(rng, 4)
        assert space.contains(rows).all()
        controller.learn(rows, 1.0 * (rows[:, 0] == 1) + 0.5 * (rows[:, 1] == 0), as_it_is, step / 400, rng)
    assert controller.probabilities[0, 1] > 0.95
    assert controller.probabilities[1, 0] > 0.9
    assert controller.best()[:2].tolist() == [1, 0]
    assert controller.baseline == pytest.approx(0.0 if expected else 1.5, abs=0.1)


def test_expected_rewards_bring_it_onto_its_target(space: SearchSpace) -> None:
    """What :attr:`ControllerSettings.expected` is there for: costs are known, so few noisy qualities are enough."""
    macs = Families(space, 0).macs
    target = float(np.median(macs(space.sample(np.random.default_rng(0), 500))))

    def reward(qualities: Floats, rows: Population) -> Floats:
        return np.asarray(qualities - 0.1 * np.abs(macs(rows) / target - 1))

    def distance(expected: int, seed: int) -> float:
        controller = Controller(space, ControllerSettings(learning_rate=0.1, samples=1, expected=expected))
        rng = np.random.default_rng(seed)
        for step in range(300):
            rows = controller.sample(rng, 1)
            controller.learn(rows, 0.5 + rng.normal(0.0, 0.05, 1), reward, step / 300, rng)
        return abs(float(macs(controller.best()[None])[0]) / target - 1)

    with_them, without = (np.mean([distance(expected, seed) for seed in range(4)]) for expected in (64, 0))
    assert with_them < 0.1
    assert with_them < without


def test_the_best_one_that_is_allowed(space: SearchSpace) -> None:
    controller, rng = Controller(space, ControllerSettings()), np.random.default_rng(0)
    chosen = controller.best_within(lambda rows: rows[:, 0] == 1, rng)
    assert chosen[0] == 1
    assert space.contains(chosen[None]).all()
    rows = controller.sample(rng, 64)
    controller.learn(rows, 1.0 * (rows[:, 1] == 1), as_it_is, 0.5, rng)
    assert controller.best_within(lambda rows: rows[:, 0] == 1, rng)[:2].tolist() == [1, 1]
    with pytest.raises(WorkError, match="within the budget"):
        controller.best_within(lambda rows: np.zeros(len(rows), bool), rng)


def test_it_ends_on_its_target_though_its_options_do_not(space: SearchSpace) -> None:
    """A policy that has hardly learnt: its most probable options cost what they happen to."""
    macs = Families(space, 0).macs
    target = float(np.median(macs(space.sample(np.random.default_rng(0), 500))))

    def reward(qualities: Floats, rows: Population) -> Floats:
        return np.asarray(qualities - 0.1 * np.abs(macs(rows) / target - 1))

    def allowed(rows: Population) -> np.ndarray:
        return np.asarray(macs(rows) <= target)

    for seed in range(5):
        controller, rng = Controller(space, ControllerSettings(learning_rate=0.01)), np.random.default_rng(seed)
        for step in range(20):
            rows = controller.sample(rng, 1)
            controller.learn(rows, 0.5 + rng.normal(0.0, 0.01, 1), reward, 0.5 + step / 40, rng)
        found = controller.most_rewarding(reward, rng)
        assert space.contains(found[None]).all()
        assert float(macs(found[None])[0]) == pytest.approx(target, rel=0.05)
        within = controller.most_rewarding(reward, rng, allowed)
        assert 0.9 * target < float(macs(within[None])[0]) <= target
    with pytest.raises(WorkError, match="within the budget"):
        controller.most_rewarding(reward, rng, lambda rows: np.zeros(len(rows), bool))


def test_qualities_are_predicted_of_options(space: SearchSpace) -> None:
    model, rng = QualityModel(space), np.random.default_rng(0)
    assert not model.knows_anything
    rows = space.sample(rng, 300)
    model.learn(rows, 0.6 + 0.1 * rows[:, 0] - 0.05 * rows[:, 1])
    fresh = space.sample(rng, 50)
    np.testing.assert_allclose(model.predict(fresh), 0.6 + 0.1 * fresh[:, 0] - 0.05 * fresh[:, 1], atol=0.02)


def test_nothing_is_learnt_before_the_delay_and_of_decisions_that_were_not_asked(space: SearchSpace) -> None:
    controller = Controller(space, ControllerSettings(learning_rate=0.1, delay=0.5, expected=0))
    rows = space.sample(np.random.default_rng(1), 1)
    rng = np.random.default_rng(0)
    controller.learn(rows, np.array([0.0]), as_it_is, 0.2, rng)
    assert not controller.logits.any()
    controller.learn(rows, np.array([1.0]), as_it_is, 0.6, rng)
    active = space.active(rows)[0]
    moved = controller.logits.any(axis=1)
    assert moved[active].all()
    assert not moved[~active].any()
    assert not active.all()


def test_equal_rewards_move_nothing(space: SearchSpace) -> None:
    controller = Controller(space, ControllerSettings(delay=0.0))
    for number in range(3):
        rng = np.random.default_rng(number)
        controller.learn(space.sample(rng, 2), np.array([0.7, 0.7]), as_it_is, 0.5, rng)
    np.testing.assert_allclose(controller.logits, 0.0, atol=1e-6)


def test_state_is_kept_whole(space: SearchSpace) -> None:
    first, second = (Controller(space, ControllerSettings(delay=0.0)) for _ in range(2))
    rng = np.random.default_rng(0)
    first.learn(space.sample(rng, 2), np.array([0.1, 0.9]), as_it_is, 0.5, rng)
    second.set_arrays(first.to_arrays())
    for controller in (first, second):
        rng = np.random.default_rng(1)
        controller.learn(space.sample(rng, 2), np.array([0.4, 0.2]), as_it_is, 0.6, rng)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.steps == second.steps == 2


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.0},
        {"delay": 1.0},
        {"growth": 0.5},
        {"baseline_momentum": 1.0},
        {"samples": 0},
        {"expected": -1},
    ],
)
def test_wrong_settings_are_named(values: dict[str, float]) -> None:
    (name,) = values
    with pytest.raises(InputError, match=name):
        ControllerSettings(**values)  # type: ignore[arg-type]
