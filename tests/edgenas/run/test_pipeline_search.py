"""Profile and search of a run, with candidates that are judged by a formula instead of trained."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from edgenas.latency.table.latency_table import LatencyTable
from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.log import read_log
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.decision import Decision
from edgenas.study.scheduler import InProcess
from edgenas.study.store import open_study
from edgenas.study.study import Study, Trial
from edgenas.study.workers import Candidate, Evaluator, Outcome

Make = Callable[..., Recipe]


class Formula:
    """Larger networks are better; some candidates fail."""

    def __init__(self, seconds: float = 0.0, fail_every: int = 0) -> None:
        self.seconds, self.fail_every = seconds, fail_every

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        time.sleep(self.seconds)
        if self.fail_every and candidate.number % self.fail_every == 0:
            raise WorkError("the loss became NaN")
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100 + candidate.seed % 100 / 1e4


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.run.search.WorkerPool", InProcess)


def search(recipe: Recipe, **options: object) -> list[Trial]:
    settings: dict = {"evaluator": Formula(), "ship": False, "quiet": True} | options
    run(recipe, **settings)
    return trials(recipe)


def trials(recipe: Recipe) -> list[Trial]:
    return list(Study.open(Path(recipe.output) / recipe.name / "study.db").trials)


def what(found: list[Trial]) -> list[tuple]:
    return [(t.number, t.architecture, t.state, t.seed, t.top1, t.reward) for t in found]


TEN = "search: {trials: 10, workers: 2}\n"


def test_same_seed_same_search_other_seed_other(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    first = search(make_recipe(TEN, table=table_path), output=None)
    assert len(first) == 10
    again = make_recipe(TEN, table=table_path).model_copy(update={"name": "again"})
    assert what(search(again)) == what(first)
    other = make_recipe(TEN, table=table_path).model_copy(update={"name": "other", "seed": 2})
    assert [t.architecture for t in search(other)] != [t.architecture for t in first]


def test_no_candidate_over_the_budget_and_none_twice(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(TEN, table=table_path, latency_ms=0.022)
    found = search(recipe)
    limit = 0.022 * (1 - recipe.search.latency_margin)
    assert found
    assert all(trial.predicted["latency_ms"] <= limit for trial in found)
    assert len({trial.architecture for trial in found}) == len(found)


def test_failed_candidates_are_kept_with_their_reason(make_recipe: Make, table_path: Path) -> None:
    found = search(make_recipe(TEN, table=table_path), evaluator=Formula(fail_every=3))
    assert [trial.number for trial in found if trial.state == "failed"] == [0, 3, 6, 9]
    assert {trial.error for trial in found if trial.state == "failed"} == {"the loss became NaN"}
    assert len({trial.architecture for trial in found}) == len(found)


def test_when_everything_fails_the_reason_is_told(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 2}\n", table=table_path)
    with pytest.raises(WorkError, match=r"none of 2 trials could be evaluated.*the loss became NaN"):
        search(recipe, evaluator=Formula(fail_every=1))


class Answers:
    """Evaluators that answer what is no accuracy for some trials."""

    def __init__(self, answers: dict[int, object]) -> None:
        self.answers = answers

    def __call__(self) -> Evaluator:
        return lambda candidate: self.answers.get(candidate.number, 0.5)  # type: ignore[arg-type,return-value]


def test_no_answer_of_an_evaluator_ends_the_search(make_recipe: Make, table_path: Path) -> None:
    wrong = {0: float("nan"), 2: True, 3: "0.5", 5: 2.0, 6: None}
    recipe = make_recipe("search: {trials: 8, workers: 2}\n", table=table_path)
    found = search(recipe, evaluator=Answers(wrong))
    assert [trial.number for trial in found if trial.state == "failed"] == sorted(wrong)
    assert [trial.number for trial in found if trial.state == "complete"] == [1, 4, 7]
    assert "returned nan as accuracy" in (found[0].error or "")


class Flaky(InProcess):
    """Workers that are killed, trial 1 once and trial 3 always."""

    def run(self, candidates: Iterable[Candidate | None], on_outcome: Callable[[Outcome], None]) -> None:
        once = {1}
        for candidate in candidates:
            assert candidate is not None
            if candidate.number == 3 or candidate.number in once:
                once.discard(candidate.number)
                on_outcome(Outcome(candidate.number, 0.1, error="the worker process was killed", killed=True))
            else:
                on_outcome(Outcome(candidate.number, 0.1, score=0.5))


def test_a_killed_trial_comes_again_and_not_for_ever(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgenas.run.search.WorkerPool", Flaky)
    found = search(make_recipe("search: {trials: 5}\n", table=table_path))
    assert [trial.state for trial in found] == ["complete"] * 3 + ["failed", "complete"]
    assert [trial.attempts for trial in found] == [1, 2, 1, 3, 1]
    assert found[3].error == "the worker process was killed, 3 times"


def test_a_failure_leaves_its_traceback_in_the_trials_folder(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 2}\n", table=table_path)
    found = search(recipe, evaluator=Formula(fail_every=2))
    folder = Path(recipe.output) / recipe.name / "trials" / "0"
    assert found[0].error == "the loss became NaN"
    assert "Traceback" in (folder / "error.log").read_text()


def test_a_search_ends_when_the_space_is_used_up(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 500, workers: 2, algorithm: random}\n", table=table_path, latency_ms=0.018)
    found = search(recipe)
    assert 1 < len(found) < 100


def test_killed_search_continues_as_if_nothing_had_happened(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    uninterrupted = search(make_recipe(TEN, table=table_path).model_copy(update={"name": "uninterrupted"}))
    recipe = make_recipe(TEN, table=table_path)
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_pipeline_search import Formula\n"
        "from edgenas.run.pipeline import run\nfrom edgenas.recipe.recipe import Recipe\n"
        "if __name__ == '__main__':\n"
        "    run(Recipe.load(sys.argv[1]), ship=False, evaluator=Formula(seconds=0.25))\n"
    )
    (tmp_path / "script.py").write_text(script)
    folder = Path(recipe.output) / recipe.name
    process = subprocess.Popen([sys.executable, str(tmp_path / "script.py"), str(tmp_path / "recipe.yaml")])
    try:
        _wait_for(folder / "log.jsonl", "trial_complete", 5)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = {trial.number: trial for trial in trials(recipe) if trial.state == "complete"}
    assert 5 <= len(before) < 10

    with pytest.raises(InputError, match="--resume"):
        search(recipe)
    after = search(recipe, resume=True)
    assert what(after) == what(uninterrupted)
    assert all(after[number] == trial for number, trial in before.items())
    finished = [event["trial"] for event in read_log(folder / "log.jsonl") if event["event"] == "trial_complete"]
    assert sorted(finished) == list(range(10)), "a finished trial was repeated"


def _wait_for(log: Path, name: str, count: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if log.is_file() and sum(event["event"] == name for event in read_log(log)) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the search did not get that far")


def test_resuming_a_finished_search_does_nothing(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 3}\n", table=table_path)
    first = search(recipe)
    assert search(recipe, resume=True, evaluator=Formula(fail_every=1)) == first


def test_a_recipe_with_another_algorithm_is_not_continued(make_recipe: Make, table_path: Path) -> None:
    search(make_recipe("search: {trials: 2}\n", table=table_path))
    with pytest.raises(InputError, match=r"search\.algorithm may not change .*was 'auto', now 'random'"):
        search(make_recipe("search: {trials: 3, algorithm: random}\n", table=table_path), resume=True)


def test_an_impossible_budget_names_the_smallest_possible(make_recipe: Make, table_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"budget\.latency_ms: 0\.001 ms cannot be reached.*smallest budget is"
    ) as caught:
        search(make_recipe(table=table_path, latency_ms=0.001))
    smallest = float(str(caught.value).rsplit(" is ", 1)[1].removesuffix(" ms"))
    recipe = make_recipe("search: {trials: 1}\n", table=table_path, latency_ms=smallest * 1.001)
    assert len(search(recipe.model_copy(update={"name": "smallest"}))) == 1


def test_a_table_of_another_device_is_refused(make_recipe: Make, table_path: Path) -> None:
    table = LatencyTable.load(table_path)
    other = table_path.with_name("other.csv")
    dataclasses.replace(table, device="coral-usb").save(other)
    with pytest.raises(InputError, match="table of device 'coral-usb', not of 'local-cpu'"):
        search(make_recipe(table=other))


def test_a_table_that_lacks_blocks_is_refused(make_recipe: Make, table_path: Path) -> None:
    table = LatencyTable.load(table_path)
    some = dict(list(table.rows.items())[2:])
    dataclasses.replace(table, rows=some).save(table_path)
    with pytest.raises(InputError, match="lacks 2 blocks of space 'tiny_test'"):
        search(make_recipe(table=table_path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{name: fashion_mnist}", "{name: nothing}", "data set 'nothing' not found"),
        ("{name: fashion_mnist}", "{path: missing.npz}", "no such file"),
        ("{path: space.yaml}", "{path: missing.yaml}", "missing.yaml"),
        ("{path: space.yaml}", "{name: nothing}", "nothing"),
        ("{name: local-cpu", "{name: nothing", "unknown device 'nothing'"),
        ("name: demo", "export: {quantization: int3}\nname: demo", "unknown quantization 'int3'"),
    ],
)
def test_what_a_recipe_names_must_exist(make_recipe: Make, tmp_path: Path, old: str, new: str, words: str) -> None:
    make_recipe()
    path = tmp_path / "recipe.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        run(Recipe.load(path), quiet=True)
    assert not (tmp_path / "runs").exists()


def test_a_group_size_that_does_not_divide_is_refused(make_recipe: Make, tmp_path: Path) -> None:
    recipe = make_recipe()
    text = (tmp_path / "space.yaml").read_text()
    (tmp_path / "space.yaml").write_text(
        text.replace("{block: fused_ibn, expansion: [1, 2]}", "{block: gc_ibn, expansion: 4, group_size: 12}")
    )
    with pytest.raises(InputError, match=r"space\.yaml.*12"):
        run(recipe, quiet=True)


def test_two_processes_do_not_work_on_one_run(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 1}\n", table=table_path)
    search(recipe)
    with (
        RunFolder(Path(recipe.output) / recipe.name),
        pytest.raises(WorkError, match="another process works on this run"),
    ):
        search(recipe, resume=True)


def test_a_folder_with_other_things_is_left_alone(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "thesis.txt").write_text("do not touch")
    for resume in (False, True):
        with pytest.raises(InputError, match="holds other things"):
            search(make_recipe(table=table_path), resume=resume)


def test_interrupting_says_how_to_go_on(make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    recipe = make_recipe("search: {trials: 2}\n", table=table_path)
    with monkeypatch.context() as patched:
        patched.setattr(InProcess, "run", interrupted)
        with pytest.raises(WorkError, match=r"interrupted.*--resume"):
            search(recipe)
    assert len(search(recipe, resume=True)) == 2


def test_ctrl_c_ends_all_processes_without_a_traceback(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    recipe = make_recipe(TEN, table=table_path)
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_pipeline_search import Formula\n"
        "from edgenas.run.pipeline import run\nfrom edgenas.recipe.recipe import Recipe\n"
        "from edgenas.spaces.errors import WorkError\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        run(Recipe.load(sys.argv[1]), ship=False, evaluator=Formula(seconds=0.25))\n"
        "    except WorkError as error:\n"
        "        sys.exit(f'error: {error}')\n"
    )
    (tmp_path / "script.py").write_text(script)
    log = Path(recipe.output) / recipe.name / "log.jsonl"
    for event in ("trial_started", "trial_complete"):  # while workers start, and while they work
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "recipe.yaml")],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _wait_for(log, event, 1)
        os.killpg(process.pid, signal.SIGINT)
        words = process.communicate(timeout=60)[1]
        assert process.returncode == 1
        assert "Traceback" not in words, words
        assert words.splitlines()[-1].startswith("error: interrupted; everything finished so far is saved in")
        shutil.rmtree(log.parent)


def test_the_result_is_what_the_contract_says(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 3}\n", table=table_path)
    result = run(recipe, ship=False, quiet=True, evaluator=Formula())
    document = json.loads(json.dumps(result.to_json()))
    assert document["run"] == str(Path(recipe.output) / "demo")
    assert document["trials"] == 3
    assert document["seconds"] > 0
    best = max(trials(recipe), key=lambda trial: trial.reward or 0)
    assert document["best"] == {
        "trial": best.number,
        "architecture": best.architecture,
        "top1": best.top1,
        "metric": "top1",
        "metrics": {"top1": best.top1},
        "predicted": dict(best.predicted),
    }
    for name in ("recipe.yaml", "study.db", "table.csv", "log.jsonl", "state.json", "trials/0/trial.json"):
        assert (result.run / name).is_file(), name
    assert (result.run / "table.csv").read_bytes() == table_path.read_bytes()


class Adds(Formula):
    """Puts the candidate of trial 0 once more, as a waiting trial, into the study while another is evaluated."""

    def __init__(self, study: Path, at: int) -> None:
        super().__init__()
        self.study, self.at = study, at

    def evaluate(self, candidate: Candidate) -> float:
        if candidate.number == self.at:
            store = open_study(self.study)
            first = store.trial(0)
            decisions = [Decision(str(number), ("a", "b", "c", "d", "e", "f")) for number in range(len(first.choices))]
            store.start(first.architecture, first.choices, decisions, seed=99, predicted=first.predicted, waiting=True)
            store.close()
        return super().evaluate(candidate)


@pytest.mark.parametrize(("at", "number", "total"), [(0, 1, 3), (2, 3, 4)])
def test_a_search_takes_a_trial_that_waits(
    make_recipe: Make, table_path: Path, at: int, number: int, total: int
) -> None:
    """Before it suggests one, and also when it has all of its own."""
    recipe = make_recipe("search: {trials: 3, algorithm: random}\n", table=table_path)
    folder = Path(recipe.output) / recipe.name
    found = search(recipe, evaluator=Adds(folder / "study.db", at))
    assert [trial.state for trial in found] == ["complete"] * total
    assert (found[number].architecture, found[number].seed) == (found[0].architecture, 99)
    claimed = [event["trial"] for event in read_log(folder / "log.jsonl") if event["event"] == "trial_claimed"]
    assert claimed == [number]


def test_a_search_runs_with_the_scheduler_that_it_is_given(make_recipe: Make, table_path: Path) -> None:
    made: list[int] = []

    class Counted(InProcess):
        def run(self, candidates: Iterable[Candidate | None], on_outcome: Callable[[Outcome], None]) -> None:
            made.append(self.count)
            super().run(candidates, on_outcome)

    recipe = make_recipe("search: {trials: 2, workers: 2}\n", table=table_path)
    assert len(search(recipe, evaluator=lambda: lambda candidate: 0.5, scheduler=Counted)) == 2
    assert made == [2]
