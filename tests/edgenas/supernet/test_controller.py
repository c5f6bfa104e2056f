"""The controller alone: what it learns of rewards that are made up."""

import numpy as np
import pytest

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.controller import Controller, ControllerSettings


def test_finds_the_options_that_are_rewarded(space: SearchSpace) -> None:
    controller = Controller(space, ControllerSettings(learning_rate=0.05, samples=4))
    rng = np.random.default_rng(0)
    for step in range(400):
        rows = controller.sample(rng, 4)
        assert space.contains(rows).all()
        controller.learn(rows, 1.0 * (rows[:, 0] == 1) + 0.5 * (rows[:, 1] == 0), step / 400)
    assert controller.probabilities[0, 1] > 0.95
    assert controller.probabilities[1, 0] > 0.9
    assert controller.best()[:2].tolist() == [1, 0]
    assert controller.baseline == pytest.approx(1.5, abs=0.1)


def test_nothing_is_learnt_before_the_delay_and_of_decisions_that_were_not_asked(space: SearchSpace) -> None:
    controller = Controller(space, ControllerSettings(learning_rate=0.1, delay=0.5))
    rows = space.sample(np.random.default_rng(1), 1)
    controller.learn(rows, np.array([0.0]), 0.2)
    assert not controller.logits.any()
    controller.learn(rows, np.array([1.0]), 0.6)
    active = space.active(rows)[0]
    moved = controller.logits.any(axis=1)
    assert moved[active].all()
    assert not moved[~active].any()
    assert not active.all()


def test_equal_rewards_move_nothing(space: SearchSpace) -> None:
    controller = Controller(space, ControllerSettings(delay=0.0))
    for number in range(3):
        controller.learn(space.sample(np.random.default_rng(number), 2), np.array([0.7, 0.7]), 0.5)
    np.testing.assert_allclose(controller.logits, 0.0, atol=1e-9)


def test_state_is_kept_whole(space: SearchSpace) -> None:
    first, second = (Controller(space, ControllerSettings(delay=0.0)) for _ in range(2))
    first.learn(space.sample(np.random.default_rng(0), 2), np.array([0.1, 0.9]), 0.5)
    second.set_arrays(first.to_arrays())
    for controller in (first, second):
        controller.learn(space.sample(np.random.default_rng(1), 2), np.array([0.4, 0.2]), 0.6)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.steps == second.steps == 2


@pytest.mark.parametrize(
    "values", [{"learning_rate": 0.0}, {"delay": 1.0}, {"growth": 0.5}, {"baseline_momentum": 1.0}, {"samples": 0}]
)
def test_wrong_settings_are_named(values: dict[str, float]) -> None:
    (name,) = values
    with pytest.raises(InputError, match=name):
        ControllerSettings(**values)  # type: ignore[arg-type]
