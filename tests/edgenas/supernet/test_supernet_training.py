"""A supernet learns, is continued exactly, and what its controller does follows from the rewards."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgenas.search.problem import Problem
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.controller import ControllerSettings
from edgenas.supernet.families import Families, Population
from edgenas.supernet.learning import StepNetwork
from edgenas.supernet.lesson import Lesson
from edgenas.supernet.network import Supernet
from edgenas.supernet.places import Places
from edgenas.supernet.settings import SupernetSettings
from edgenas.supernet.training import Floats, SupernetProgress, SupernetTraining

SANDWICH = {"sandwich": True, "distillation": 1.0, "rank_weight": 1.0, "random_networks": 1}
SETTINGS = SupernetSettings(epochs=2, max_steps=8, batch_size=24, checkpoint_seconds=1e9, **SANDWICH)

ALONE = {"sandwich": False, "distillation": 0.0, "rank_weight": 0.0}


class SupernetOfPlaces:
    """What a supernet knows of its space, without the graph."""

    def __init__(self, space: SearchSpace) -> None:
        self.space, self.plan = space, Places(space).plan


def small_first(qualities: Floats, rows: Population) -> Floats:
    return np.asarray(qualities - 0.5 * rows[:, 0])


def make(space: SearchSpace, lesson: Lesson, folder: Path | None, *, controlled: bool) -> SupernetTraining:
    controller = ControllerSettings(delay=0.25, learning_rate=0.1, samples=2)
    return SupernetTraining(
        Supernet(space, seed=2),
        lesson,
        SETTINGS,
        reward=small_first if controlled else None,
        controller=controller if controlled else None,
        folder=folder,
    )


@pytest.fixture(scope="module")
def traced(space: SearchSpace, lesson: Lesson, tmp_path_factory: pytest.TempPathFactory) -> SupernetTraining:
    """One training whose graph, which takes long to trace, serves several tests; its first step is still to come."""
    settings = SupernetSettings(epochs=20, batch_size=24, learning_rate=5e-3, calibration_examples=96, **SANDWICH)
    controller = ControllerSettings(delay=0.0, learning_rate=0.1, samples=2)
    folder = tmp_path_factory.mktemp("traced")
    training = SupernetTraining(
        Supernet(space, seed=2), lesson, settings, reward=small_first, controller=controller, folder=folder
    )
    training._save()
    return training


def test_interrupted_and_resumed_is_as_if_uninterrupted(
    traced: SupernetTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, variables = traced.controller, traced.learner.variables
    assert controller is not None
    traced._resume()

    def state() -> dict[str, np.ndarray]:
        weights = {name: variable.numpy().copy() for name, variable in variables.items()}
        return weights | {name: array.copy() for name, array in controller.to_arrays().items()}

    assert traced.folder is not None
    first = {path: path.read_bytes() for path in traced.folder.iterdir()}
    heard: list[SupernetProgress] = []
    traced.run(heard.append, until=8)
    assert heard[-1].step == 8
    assert heard[-1].entropy is not None
    assert heard[-1].reward is not None
    uninterrupted = state()
    assert np.abs(controller.logits).max() > 0

    for path, content in first.items():
        path.write_bytes(content)
    traced._resume()
    assert traced.learner.step == controller.steps == 0

    def interrupt(step: int) -> None:
        # After the weights' half of a step: the controller's half is still to come.
        if step == 4:
            raise KeyboardInterrupt
        type(traced)._controller_step(traced, step)

    with monkeypatch.context() as patched:
        patched.setattr(traced, "_controller_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            traced.run(until=8)
    for variable in variables.values():
        variable.assign(variable * 0)
    traced._resume()
    assert (traced.learner.step, controller.steps) == (5, 4)
    traced.run(until=8)
    for name, array in state().items():
        np.testing.assert_array_equal(array, uninterrupted[name], err_msg=name)


def test_it_learns_and_scores_repeat(traced: SupernetTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traced, "controller", None)
    monkeypatch.setattr(traced, "folder", None)
    space = traced.supernet.space
    plan = traced.supernet.plan(space.architecture(traced.families.largest.rows[0]))
    before = traced.learner.score(plan)
    traced.run(until=150)
    first = traced.learner.score(plan)
    traced.learner.score(traced.supernet.plan(space.architecture(traced.families.smallest.rows[0])))
    assert traced.learner.score(plan) == first, "the statistics of other networks must not matter"
    assert first > max(before, 0.6)


def test_a_step_trains_both_ends_and_something_between(space: SearchSpace, lesson: Lesson) -> None:
    families, seed = Families(space, lesson.seed), lesson.seed
    training = SupernetTraining.__new__(SupernetTraining)  # without the graph, which takes long to trace
    training.families, training.lesson, training.controller = families, lesson, None
    training.within = None
    training.settings, training.supernet = SETTINGS, type("Holder", (), {"space": space})()  # type: ignore[assignment]
    drawn = [training.rows(step) for step in range(20)]
    for rows in drawn:
        assert any((rows[0] == row).all() for row in families.largest.rows)
        assert any((rows[-1] == row).all() for row in families.smallest.rows)
        assert space.contains(rows).all()
    assert len({row.tobytes() for rows in drawn for row in rows[1:-1]}) > 10
    np.testing.assert_array_equal(training.rows(3), drawn[3], err_msg=str(seed))


def test_networks_within_the_budget_only(space: SearchSpace, lesson: Lesson) -> None:
    families = Families(space, lesson.seed)
    costs = families.macs(space.sample(np.random.default_rng(0), 400))
    training = SupernetTraining.__new__(SupernetTraining)
    training.families, training.lesson, training.controller = families, lesson, None
    training.settings = SupernetSettings(batch_size=8, random_networks=4, **ALONE)

    def drawn(limit: float) -> Population:
        training.within = Problem(space, 0, lambda rows: {"macs": families.macs(rows)}, {"macs": limit})
        return np.concatenate([training.rows(step) for step in range(20)])

    limit = float(np.quantile(costs, 0.1))
    assert (families.macs(drawn(limit)) <= limit).all()
    assert len(np.unique(drawn(limit), axis=0)) > 10
    # Where there are none, a step still has its networks.
    assert drawn(1.0).shape == (80, len(space.decisions))
    assert (families.macs(drawn(float(costs.max()))) > limit).any()


def test_without_the_ends_networks_are_balanced_and_learn_from_examples_of_their_own(
    space: SearchSpace, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = SupernetTraining.__new__(SupernetTraining)
    training.families, training.lesson, training.controller = Families(space, lesson.seed), lesson, None
    training.within = None
    training.supernet, training.steps = SupernetOfPlaces(space), 8  # type: ignore[assignment]
    training.settings = SupernetSettings(batch_size=8, random_networks=3, **ALONE)
    seen: list[list[StepNetwork]] = []
    training.learner = type("Learner", (), {"train": lambda _, networks, *rest: seen.append(networks)})()  # type: ignore[assignment]
    for step in range(10):  # of 8 examples each, 3 networks a step: all 240 once
        rows = training.rows(step)
        assert space.contains(rows).all()
        assert sorted(rows[:, training.families.block_decisions[0]]) == [0, 1, 2]
        training._weights_step(step)
    taught = np.concatenate([one.batch[0]["image"] for networks in seen for one in networks])
    assert len(np.unique(taught.reshape(len(taught), -1), axis=0)) == len(
        np.unique(lesson._prepared(lesson.training.batch(slice(None))[0])["image"].reshape(240, -1), axis=0)
    )
    training.settings = dataclasses.replace(training.settings, rank_weight=1.0)
    training._weights_step(0)
    assert seen[-1][0].batch is seen[-1][1].batch, "losses are compared on the same examples"


def test_nothing_teaches_without_the_largest() -> None:
    with pytest.raises(InputError, match="distillation needs sandwich"):
        SupernetSettings(sandwich=False, distillation=0.5)


def test_both_ends_come_with_all_blocks(space: SearchSpace) -> None:
    families = Families(space, seed=0)
    (place,) = [position for position in space.positions if position.name == "stage1_layer1"]
    assert place.block.decision is not None
    for extremes in (families.largest, families.smallest):
        assert set(extremes.rows[:, place.block.decision]) == {0, 1, 2}
    rows = space.sample(np.random.default_rng(0), 3)
    assert sorted(families.covering(np.random.default_rng(1), rows)[:, place.block.decision]) == [0, 1, 2]
    wide = families.widest(rows[0])
    assert families.macs(wide[None])[0] >= families.macs(rows[:1])[0]
    assert space.contains(wide[None]).all()


def test_a_checkpoint_of_another_training_is_refused(space: SearchSpace, lesson: Lesson, tmp_path: Path) -> None:
    training = make(space, lesson, tmp_path, controlled=False)
    training._save()
    with pytest.raises(InputError, match="another network, data, settings or seed"):
        make(space, lesson, tmp_path, controlled=True)


def test_too_few_held_out_images(space: SearchSpace, lesson: Lesson) -> None:
    short = dataclasses.replace(lesson, held_out=lesson.held_out.take(np.arange(4)))
    with pytest.raises(InputError, match=r"4 held-out examples are too few .* at least 6"):
        make(space, short, None, controlled=False)


def test_divergence_is_told(space: SearchSpace, lesson: Lesson) -> None:
    training = make(space, lesson, None, controlled=False)
    training.learner.variables["losses"].assign(np.full(3, np.nan, np.float32))
    with pytest.raises(WorkError, match=r"diverged.*learning_rate"):
        training._progress()
