"""A one-shot run: supernet, scores, trials, and the check of its ranking. Trials are judged by a formula."""

import dataclasses
import json
import pickle
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.initial import beginning
from edgenas.run.pipeline import run
from edgenas.run.preflight import check
from edgenas.run.progress import Progress
from edgenas.run.records import RankingRecord, ScoreRecord, SearchRecord, SupernetRecord
from edgenas.run.supernet import inherited_weights
from edgenas.run.supernet.borrowed import borrowing_recipe
from edgenas.run.supernet.scores import CHECKED, SEARCHED, read_scores
from edgenas.run.supernet.starts import short_training_starts
from edgenas.spaces.errors import InputError
from edgenas.spaces.yaml_reading import dump_yaml
from edgenas.study.scheduler import InProcess
from edgenas.study.study import Study, Trial
from edgenas.study.workers import Candidate, Evaluator
from edgenas.supernet.places import Places

Make = Callable[..., Recipe]
MakeTable = Callable[[str, Path], str]

#: Few kinds of blocks, because every one takes long to trace.
SPACE = """\
name: tiny_one_shot
task: classification
input_shape: [28, 28, 1]
classes: 10
stem: {block: conv, filters: [4, 8], kernel: 3, stride: 2}
stages:
  - stride: 2
    filters: [8, 16]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [1, 2]}
head:
  - {block: classifier}
"""
SUPERNET = """\
search: {{algorithm: {algorithm}}}
supernet:
  {{max_steps: 4, batch_size: 16, scores: 9, trials: 3, check: 3, calibration_examples: 32, scored_examples: 64}}
"""


class Formula:
    """Deeper networks are better."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return sum(int(digit) for digit in candidate.architecture if digit.isdigit()) / 100


def go(recipe: Recipe, folder: Path, *, resume: bool = False) -> None:
    run(recipe, output=folder, evaluator=Formula(), scheduler=InProcess, ship=False, quiet=True, resume=resume)


def trials(folder: Path) -> list[Trial]:
    return list(Study.open(folder / "study.db").trials)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, made_up_table: MakeTable) -> dict[str, Path]:
    """One finished run of each algorithm: tracing their supernets is what takes long here."""
    folder = tmp_path_factory.mktemp("one-shot")
    (folder / "space.yaml").write_text(SPACE)
    (folder / "table.csv").write_text(made_up_table(SPACE, folder))
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_HOME", str(folder / "home"))
        for algorithm in ("supernet", "tunas"):
            path = folder / f"{algorithm}.yaml"
            path.write_text(
                textwrap.dedent(f"""\
                name: {algorithm}
                seed: 1
                data: {{name: fashion_mnist}}
                space: {{path: space.yaml}}
                device: {{name: local-cpu, table: table.csv}}
                budget: {{latency_ms: 0.05}}
                """)
                + SUPERNET.format(algorithm=algorithm)
            )
            found[algorithm] = folder / "runs" / algorithm
            go(Recipe.load(path), found[algorithm])
    return found


@pytest.fixture
def one_shot(runs: dict[str, Path], tmp_path: Path, home: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(runs["supernet"], tmp_path / "copy"))


def context_of(folder: Path) -> RunContext:
    found = RunFolder(folder)
    return RunContext(found.read_recipe(), found, Progress(quiet=True))


@pytest.mark.parametrize("algorithm", ["supernet", "tunas"])
def test_a_run_trains_scores_and_checks(runs: dict[str, Path], home: Path, algorithm: str) -> None:
    folder = RunFolder(runs[algorithm])
    records = folder.records
    assert records.of(SupernetRecord).done
    assert records.of(SupernetRecord).steps == 4
    assert records.of(ScoreRecord).networks == 12
    assert records.of(SearchRecord).trials == 6
    scored = read_scores(folder.path / "supernet" / "scores.csv")
    assert [one.purpose for one in scored] == [SEARCHED] * 9 + [CHECKED] * 3
    limit = records.of(SearchRecord).limits["latency_ms"]
    assert all(one.costs["latency_ms"] <= limit for one in scored)
    assert len({one.architecture for one in scored[:9]}) == 9
    found = trials(folder.path)
    # Random ones first, then the best by their scores; nobody comes twice.
    assert [trial.architecture for trial in found[:3]] == [one.architecture for one in scored[9:]]
    assert {trial.architecture for trial in found[3:]} <= {one.architecture for one in scored[:9]}
    assert len({trial.architecture for trial in found}) == 6
    ranking = records.of(RankingRecord)
    assert ranking.networks == 6
    assert ranking.random_networks == 3
    assert set(ranking.random_tau) <= {"supernet", "macs", "params", "depth"}
    assert "random networks" in ranking.words
    history = json.loads((folder.path / "supernet" / "history.json").read_text())
    assert history["history"][-1]["step"] == 4
    if algorithm == "tunas":
        assert history["history"][-1]["expected latency_ms"] > 0
        assert all(sum(options.values()) == pytest.approx(1) for options in history["probabilities"].values())


@pytest.mark.parametrize("algorithm", ["supernet", "tunas"])
def test_the_report_shows_the_supernet(runs: dict[str, Path], home: Path, algorithm: str) -> None:
    from edgenas.report.load import load_report_data
    from edgenas.report.page import render_page

    data = load_report_data(runs[algorithm])
    assert data.supernet is not None
    assert len(data.supernet.scored) == 12
    assert len({one.architecture for one in data.supernet.scored if one.trained}) == 6
    page = render_page(data)
    for title in ("Does the supernet rank?", "Networks scored with shared weights", "Training of the supernet"):
        assert title in page
    assert ("What the controller has learnt" in page) == (algorithm == "tunas")
    assert ("What the controller expects: latency_ms" in page) == (algorithm == "tunas")
    losing = dataclasses.replace(data.supernet, loses=True, words="the supernet LOSES to <macs>")
    assert "The supernet LOSES to &lt;macs&gt;." in render_page(dataclasses.replace(data, supernet=losing))


def test_the_same_again_and_continued_scores(runs: dict[str, Path], one_shot: Path) -> None:
    """Scores that were interrupted go on as if nothing had been."""
    path = one_shot / "supernet" / "scores.csv"
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:7]))
    state = json.loads((one_shot / "state.json").read_text())
    for step in ("score", "search", "ranking"):
        del state["steps"][step]
    (one_shot / "state.json").write_text(json.dumps(state))
    (one_shot / "study.db").unlink()
    go(context_of(one_shot).recipe, one_shot, resume=True)
    assert path.read_text() == whole
    assert [t.architecture for t in trials(one_shot)] == [t.architecture for t in trials(runs["supernet"])]


def test_weights_to_begin_with(one_shot: Path) -> None:
    from edgenas.export.keras.builder import build_keras
    from edgenas.tasks import get_task
    from edgenas.training import evaluate
    from edgenas.training.initial import set_initial_weights

    context = context_of(one_shot)
    scored = read_scores(one_shot / "supernet" / "scores.csv")[0]
    weights = inherited_weights(context, scored.architecture)
    network = context.space.decode(context.space.parse(scored.architecture))
    model = build_keras(network, seed=7)
    taken = set_initial_weights(model, weights)
    assert not taken.missing
    assert not taken.misfits
    assert not taken.unused
    lesson = context.supernet.learner.lesson
    metrics = evaluate(
        model,
        lesson.scored(64),
        task=get_task("classification"),
        preprocessing=lesson.preprocessing,
        outputs=network.outputs,
    )
    assert metrics["top1"] == pytest.approx(scored.score, abs=1e-6)


def test_final_trainings_begin_with_them(one_shot: Path) -> None:
    context = context_of(one_shot)
    trial = trials(one_shot)[0]
    found = beginning(context, trial.number)
    assert found is not None
    assert found.source == "the run's supernet"
    taken = found.fit(context.space.decode(context.space.parse(trial.architecture)))
    assert (taken.missing, taken.misfits, taken.unused) == ((), (), ())
    training = context.recipe.training.model_copy(update={"initial": "scratch"})
    context.recipe = context.recipe.model_copy(update={"training": training})
    assert beginning(context, trial.number) is None


def test_several_budgets_share_one_supernet(one_shot: Path) -> None:
    recipe = borrowing_recipe(one_shot, ["latency_ms=0.02,0.05"])
    again = borrowing_recipe(one_shot, ["latency_ms=0.05", "params=3000", "latency_ms=0.02"])
    assert recipe.budget_list == again.budget_list == ("local-cpu", "latency_ms", (0.02, 0.05))
    assert again.limits["params"] == 3000
    other = one_shot.parent / "other"
    go(recipe, other)
    found = trials(other)
    assert len(found) == 2 * 3, "a borrowed ranking is not checked again"
    assert sum(trial.predicted["latency_ms"] <= 0.02 for trial in found) >= 3
    assert len({trial.architecture for trial in found}) == len(found)
    scored = [one for one in read_scores(other / "supernet" / "scores.csv") if one.purpose == SEARCHED]
    assert sum(one.costs["latency_ms"] <= 0.02 for one in scored) >= len(scored) // 2


def test_another_budget_is_searched_without_training(one_shot: Path) -> None:
    recipe = borrowing_recipe(one_shot, ["latency_ms=0.02", "params=3000"])
    assert recipe.limits == {"latency_ms": 0.02, "params": 3000}
    other = one_shot.parent / "other"
    go(recipe, other)
    assert (other / "supernet" / "weights.npz").read_bytes() == (one_shot / "supernet" / "weights.npz").read_bytes()
    assert not (other / "supernet" / "checkpoint.npz").exists()
    record = RunFolder(other).read(SupernetRecord)
    assert record.source == str(one_shot)
    assert record.steps == 4
    found = trials(other)
    assert found
    assert all(trial.predicted["params"] <= 3000 and trial.predicted["latency_ms"] <= 0.02 for trial in found)
    # What was taken is kept: the other run may go.
    shutil.rmtree(one_shot)
    go(context_of(other).recipe, other, resume=True)
    assert inherited_weights(context_of(other), found[0].architecture)


@pytest.mark.parametrize(
    ("budgets", "words"),
    [
        ([], "expected one at least"),
        (["latency=1"], "expected COST=LIMIT"),
        (["latency_ms"], "expected COST=LIMIT"),
        (["latency_ms=-1"], "above 0"),
        (["latency_ms=0.1,,0.2"], "or several, such as latency_ms=0.1,0.2"),
        (["latency_ms=0.1,0.2", "params=3000,4000"], "latency_ms and params are lists"),
        (["latency_ms=0.1,0.1"], "holds a limit twice"),
        (["latency_ms@other=1"], "'other' is no device of that run, expected one of local-cpu"),
    ],
)
def test_wrong_budgets_are_named(one_shot: Path, budgets: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        borrowing_recipe(one_shot, budgets)


def test_a_run_without_a_supernet_lends_none(one_shot: Path) -> None:
    (one_shot / "supernet" / "weights.npz").unlink()
    with pytest.raises(InputError, match=r"has no trained supernet \(its search.algorithm is 'supernet'\)"):
        borrowing_recipe(one_shot, ["latency_ms=1"])


def test_damaged_files_are_named(one_shot: Path) -> None:
    (one_shot / "supernet" / "weights.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"weights\.npz: not the weights of a supernet .*--resume"):
        inherited_weights(context_of(one_shot), read_scores(one_shot / "supernet" / "scores.csv")[0].architecture)
    path = one_shot / "supernet" / "scores.csv"
    path.write_text(path.read_text().replace("0,search", "0,search,", 1))
    with pytest.raises(InputError, match=r"scores\.csv: not the scores of a supernet"):
        read_scores(path)


def test_what_is_wrong_is_told_before_anything_runs(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    text = SUPERNET.format(algorithm="supernet")

    def problem(recipe: Recipe) -> str:
        with pytest.raises(InputError) as error:
            check(RunContext(recipe, RunFolder(tmp_path / "nowhere"), Progress(quiet=True)))
        assert "\n" not in str(error.value)
        return str(error.value)

    def with_section(**keys: object) -> Recipe:
        values = yaml.safe_load(text)
        values["supernet"] |= keys
        return make_recipe(yaml.safe_dump(values), table=table_path)

    assert "less than one batch of 10000" in problem(with_section(batch_size=10_000))
    few = make_recipe(text + "", table=table_path)
    few = few.model_copy(update={"data": few.data.model_copy(update={"validation_fraction": 0.0005})})
    assert "held-out examples are too few" in problem(few)
    assert "no run" in problem(with_section(from_run=str(tmp_path / "none")))


def test_the_disk_is_asked_for_the_supernet_too(
    make_recipe: Make, table_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("edgenas.run.preflight.check_space", lambda folder, needed: asked.append(needed))
    text = SUPERNET.format(algorithm="supernet")
    for extra in (text, "search: {trials: 6}\n"):
        context = RunContext(
            make_recipe(extra, table=table_path), RunFolder(tmp_path / "nowhere"), Progress(quiet=True)
        )
        check(context)
    parameters = Places(context.space).parameters
    assert parameters > 1_000
    assert asked[0] - asked[1] == 32 * parameters


class Features:
    """What a network is made of: its choices."""

    def matrix(self, rows: np.ndarray) -> np.ndarray:
        return rows.astype(float)


class Space:
    """Decisions between two options each."""

    def __init__(self, decisions: int) -> None:
        self.option_counts = (2,) * decisions
        self.size = 2**decisions

    def active(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(rows.shape, bool)


def test_scores_are_corrected_by_trainings() -> None:
    from edgenas.search import Observation
    from edgenas.search.problem import Problem
    from edgenas.supernet.best_scored import BestScored

    rng = np.random.default_rng(0)
    rows = np.unique(rng.integers(0, 2, (200, 12)), axis=0).astype(np.int16)
    # With shared weights, networks with the first option seem better than they are.
    rewards = 0.5 + 0.1 * rows[:, 0] + 0.02 * rows[:, 1]
    problem = Problem(Space(12), 20)  # type: ignore[arg-type]
    algorithm = BestScored(problem, 0, Features(), rows, rewards, rows[:6])  # type: ignore[arg-type]
    assert algorithm.suggest(6) == [tuple(row.tolist()) for row in rows[:6]]
    first = algorithm.suggest(1)[0]
    assert first[0] == 1
    truth = {tuple(row.tolist()): 0.5 - 0.1 * row[0] + 0.02 * row[1] for row in rows}
    for number in range(7, 16):
        known = algorithm.trials
        algorithm.update(Observation(one.number, one.choices, "complete", float(truth[one.choices])) for one in known)
        last = algorithm.suggest(1)[0]
        assert number == algorithm.trials[-1].number
    assert last[0] == 0, "the trainings told otherwise"


def test_the_last_trial_keeps_room_in_the_budget_where_all_others_are_at_it() -> None:
    from edgenas.search import Observation
    from edgenas.search.problem import Problem
    from edgenas.supernet.best_scored import SPARE, BestScored

    def latency(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"latency_ms": 0.1 * rows.sum(axis=1), "params": 0.1 * rows.sum(axis=1)}

    def last_of(limits: dict[str, float]) -> float:
        rows = np.unique(np.random.default_rng(0).integers(0, 2, (300, 10)), axis=0).astype(np.int16)
        problem = Problem(Space(10), 4, costs=latency, limits=limits)  # type: ignore[arg-type]
        algorithm = BestScored(problem, 0, Features(), rows, 0.1 * rows.sum(axis=1), rows[:0])  # type: ignore[arg-type]
        for number in range(4):
            (last,) = algorithm.suggest(1)
            algorithm.update([Observation(number, last, "complete", 0.1 * sum(last))])
        return float(latency(np.array([last]))["latency_ms"][0])

    assert SPARE - 0.12 < last_of({"latency_ms": 0.9}) / 0.9 <= SPARE
    assert last_of({"latency_ms": 2.0}) == last_of({}), "there is room as it is"
    assert last_of({"params": 0.9}) == last_of({}), "nothing is measured at the end"


def test_short_trainings_begin_with_the_weights_of_the_supernet(one_shot: Path) -> None:
    context = context_of(one_shot)
    values = context.recipe.model_dump(mode="json")
    assert values["supernet"]["check"] == 3
    assert short_training_starts(context) is None, "its own weights would favour it where it is judged"

    values["supernet"]["inherit"] = True
    recipe = Recipe.parse(dump_yaml(values), "the changed recipe")
    starts = short_training_starts(RunContext(recipe, context.folder, context.progress))
    assert starts is not None
    architecture = trials(one_shot)[0].architecture
    given, expected = pickle.loads(pickle.dumps(starts))()(architecture), inherited_weights(context, architecture)
    assert given.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(given[name], array, err_msg=name)
