"""What a run keeps whatever happens: late errors, changed inputs, moved folders, locks, full disks, damaged files."""

import errno
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.fingerprints import data_fingerprint, space_fingerprint
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import export_trial, run, run_recipe
from edgenas.run.records import ChooseRecord, ExportRecord
from edgenas.run.result import RunResult
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.study import Study, StudyDamagedError
from edgenas.study.workers import Candidate, Evaluator, Outcome, WorkerPool

Make = Callable[..., Recipe]
THREE = "search: {trials: 3, algorithm: random}\n"


class Formula:
    """Larger networks are better."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


class SameProcess(WorkerPool):
    """Evaluates here: starting processes takes longer than what these tests look at."""

    def run(self, candidates: Iterable[Candidate], on_outcome: Callable[[Outcome], None]) -> None:
        evaluate = self.factory()
        for candidate in candidates:
            try:
                on_outcome(Outcome(candidate.number, 0.0, score=evaluate(candidate)))
            except WorkError as error:
                if "--resume" in str(error):  # not of the candidate
                    raise
                on_outcome(Outcome(candidate.number, 0.0, error=str(error)))


def few_images(folder: Path) -> Path:
    """60 training and 20 test images, darker or lighter by class."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("test", 20)):
        labels = np.arange(count) % 10
        arrays[f"y_{part}"] = labels
        arrays[f"x_{part}"] = (rng.integers(0, 50, (count, 28, 28)) + 20 * labels[:, None, None]).astype(np.uint8)
    path = folder / "few.npz"
    np.savez(path, **arrays)
    return path


def with_few_images(recipe: Recipe, folder: Path) -> Recipe:
    data = recipe.data.model_copy(update={"name": None, "path": str(few_images(folder))})
    return recipe.model_copy(update={"data": data})


@pytest.fixture(name="make_recipe")
def make_recipe_of_few_images(make_recipe: Make, tmp_path: Path) -> Make:
    """Recipes as everywhere, of data that are read in no time."""
    return lambda *arguments, **options: with_few_images(make_recipe(*arguments, **options), tmp_path)


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.run.search.WorkerPool", SameProcess)


def searched(recipe: Recipe, **options: object) -> RunResult:
    settings: dict = {"evaluator": Formula(), "ship": False, "quiet": True} | options
    return run(recipe, **settings)


def complete(folder: Path) -> int:
    study = Study.open(folder / "study.db")
    try:
        return sum(trial.state == "complete" for trial in study.trials)
    finally:
        study.close()


# Nothing finished is removed ---------------------------------------------------------------------------------------


def test_a_late_input_error_keeps_finished_trials_and_says_how_to_go_on(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: object) -> None:
        raise InputError("something that nobody thought of")

    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name
    with monkeypatch.context() as patched:
        patched.setattr("edgenas.run.pipeline.ship_best", wrong)
        with pytest.raises(InputError, match=r"nobody thought of\. Everything finished so far is kept in .*--resume"):
            searched(recipe, ship=True)
    assert complete(folder) == 3
    assert searched(recipe, resume=True).trials == 3


def test_a_fresh_folder_without_work_is_removed_but_nothing_that_the_user_put_there(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(THREE, table=table_path, latency_ms=0.001)
    folder = Path(recipe.output) / recipe.name
    with pytest.raises(InputError, match="cannot be reached"):
        searched(recipe)
    assert not folder.exists()

    def puts_a_file_there(*arguments: object) -> None:
        (folder / "notes.txt").write_text("mine")
        raise InputError("wrong")

    monkeypatch.setattr("edgenas.run.pipeline.profile", puts_a_file_there)
    with pytest.raises(InputError, match="wrong"):
        searched(recipe)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("label", ["li\nne", "tab\there", "\x07bell", "line\u2028end", " ", ""])
def test_labels_that_no_bundle_takes_are_found_before_the_first_trial(
    make_recipe: Make, table_path: Path, tmp_path: Path, label: str
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    path = Path(str(recipe.data.path))
    names = [*map(str, range(9)), label]
    with np.load(path) as arrays:
        np.savez(path, **dict(arrays), class_names=np.array(names))
    with pytest.raises(InputError, match=r"rename the class|a label must be"):
        searched(recipe)
    assert not (Path(recipe.output) / recipe.name).exists()


def test_a_label_that_cannot_be_encoded_is_named() -> None:
    from edgenas.export.bundle.contents import label_problem

    assert "UTF-8" in str(label_problem(["half\udc80"]))
    assert label_problem(["100% #1", "a:b;c", "Grünfink, männlich", "two words", "猫"]) is None


def test_nothing_to_prune_is_found_before_the_first_trial(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(THREE + "export: {quantization: pruned}\n", table=table_path)
    monkeypatch.setattr("edgenas.export.quantization.compression._LEAST_WEIGHTS", 10**9)
    with pytest.raises(InputError, match=r"export\.quantization: 'pruned' finds nothing in space 'tiny_test'"):
        searched(recipe)
    assert not (Path(recipe.output) / recipe.name).exists()


def test_too_few_images_for_a_validation_part_are_found_before_the_first_trial(
    make_recipe: Make, tmp_path: Path, table_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    with np.load(str(recipe.data.path)) as arrays:
        kept = {"x_train": arrays["x_train"][:10], "y_train": np.arange(10)}
        np.savez(str(recipe.data.path), **(dict(arrays) | kept))
    with pytest.raises(InputError, match="too few images for a validation part"):
        searched(recipe)


# Fingerprints ------------------------------------------------------------------------------------------------------


def test_a_space_that_changed_is_refused_with_both_fingerprints(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    before = json.loads((result.run / "inputs.json").read_text())["space"]["fingerprint"]
    text = (tmp_path / "space.yaml").read_text()
    (tmp_path / "space.yaml").write_text(text.replace("kernel: [3, 5]", "kernel: [5, 3]"))
    for action in (lambda: searched(recipe, resume=True), lambda: export_trial(result.run)):
        with pytest.raises(
            InputError, match=rf"the space changed .*fingerprint {before} then, [0-9a-f]+ now"
        ) as caught:
            action()
        assert "3/5 then, 5/3 now" in str(caught.value)
    (tmp_path / "space.yaml").write_text("# a remark\n" + text.replace("name: tiny_test", "name:    tiny_test"))
    assert searched(recipe, resume=True).trials == 3


def test_an_equal_space_has_an_equal_fingerprint_and_another_one_has_not(make_recipe: Make, tmp_path: Path) -> None:
    make_recipe()
    path = tmp_path / "space.yaml"
    text = path.read_text()

    def fingerprint(new: str) -> str:
        path.write_text(new)
        return str(space_fingerprint(SearchSpace.load(path))["fingerprint"])

    first = fingerprint(text)
    assert fingerprint(text.replace("name: tiny_test", "name: other")) == first
    others = {
        fingerprint(text.replace(old, new))
        for old, new in (
            ("filters: [8, 16]", "filters: [16, 8]"),
            ("filters: [8, 16]", "filters: [8, 24]"),
            ("stride: 2}", "stride: 1}"),
            ("classes: 10", "classes: 11"),
            ("expansion: [1, 2]", "expansion: [1, 3]"),
            ("depth: [1, 2]", "depth: [1, 2, 3]"),
        )
    }
    assert len(others | {first}) == 7


def test_data_that_changed_are_refused_and_what_changed_is_named(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    with np.load(str(recipe.data.path)) as arrays:
        known = dict(arrays)
    labels = known["y_test"].copy()
    labels[0] = (labels[0] + 1) % 10
    np.savez(str(recipe.data.path), **(known | {"y_test": labels}))
    with pytest.raises(InputError, match=r"the data changed .*fingerprint \w+ then, \w+ now \(test labels: other cont"):
        searched(recipe, resume=True)
    np.savez(str(recipe.data.path), **(known | {"x_train": known["x_train"][1:], "y_train": known["y_train"][1:]}))
    with pytest.raises(InputError, match=r"training images: 60 x 28 x 28 x 1 then, 59 x 28 x 28 x 1 now"):
        export_trial(result.run)
    np.savez_compressed(str(recipe.data.path), **known)  # another file of the same content
    assert searched(recipe, resume=True).trials == 3


def test_an_old_run_without_fingerprints_goes_on_with_a_remark(
    make_recipe: Make, table_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    (result.run / "inputs.json").unlink()
    (result.run / "recipe.yaml").write_text(recipe.to_yaml())
    assert searched(recipe, resume=True, quiet=False).trials == 3
    assert capsys.readouterr().err.count("kept no fingerprints") == 1


def test_damaged_inputs_are_named_and_nothing_is_deleted(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    for text in ("", "{", "[]", '{"format": 1}', '{"format": 1, "space": 3, "data": {}, "paths": {}}'):
        (result.run / "inputs.json").write_text(text)
        with pytest.raises(InputError, match=r"inputs\.json: damaged"):
            searched(recipe, resume=True)
    assert complete(result.run) == 3


def test_a_project_that_was_moved_or_copied_goes_on(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    make_recipe(THREE, table=table_path)
    here = tmp_path / "here"
    here.mkdir()
    few_images(here)
    shutil.copy(tmp_path / "space.yaml", here)
    shutil.copy(table_path, here / "table.csv")
    text = (tmp_path / "recipe.yaml").read_text()
    text = text.replace("{name: fashion_mnist}", "{path: few.npz}").replace(str(table_path), "table.csv")
    (here / "recipe.yaml").write_text(text.replace(str(tmp_path / "runs"), str(here / "runs")))
    result = searched(Recipe.load(here / "recipe.yaml"), output=here / "runs" / "demo")
    there = tmp_path / "there"
    here.rename(there)
    moved = searched(Recipe.load(there / "recipe.yaml"), output=there / "runs" / "demo", resume=True)
    assert moved.trials == result.trials
    assert RunFolder(moved.run).read_recipe().data.path == str(there / "few.npz")
    shutil.copytree(there, tmp_path / "copy")
    shutil.rmtree(there)
    from edgenas.run.pipeline import search_recipe

    assert search_recipe(tmp_path / "copy" / "runs" / "demo" / "recipe.yaml", resume=True).run.is_relative_to(
        tmp_path / "copy"
    )
    assert search_recipe(tmp_path / "copy" / "runs" / "demo", resume=True).run.is_relative_to(tmp_path / "copy")
    with pytest.raises(InputError, match="it is a folder"):  # of runs, and no run
        search_recipe(tmp_path / "copy" / "runs", resume=True)
    alone = tmp_path / "far" / "away" / "demo"
    shutil.copytree(tmp_path / "copy" / "runs" / "demo", alone)
    with pytest.raises(InputError, match="no such file"):  # its data were not copied, and are gone from where they were
        export_trial(alone)


def test_a_run_folder_that_was_moved_without_its_data_finds_them_where_they_were(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    alone = tmp_path / "far" / "away" / "demo"
    alone.parent.mkdir(parents=True)
    result.run.rename(alone)
    assert RunFolder(alone).read_recipe().data.path == recipe.data.path


# Locks -------------------------------------------------------------------------------------------------------------


def held(path: Path, seconds: float) -> threading.Thread:
    """Another program's lock on a study."""
    locked = threading.Event()

    def hold() -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(seconds)
        database.execute("ROLLBACK")
        database.close()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()
    return thread


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.study.patience.NOTICE_SECONDS", 0.2)
    monkeypatch.setattr("edgenas.study.patience.PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("edgenas.study.patience.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("edgenas.study.study.BUSY_SECONDS", 0.1)


@pytest.mark.usefixtures("hasty")
def test_a_lock_is_waited_for_and_told(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgenas.study.patience.PATIENCE_SECONDS", 60.0)
    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name

    class Locking(Formula):
        def evaluate(self, candidate: Candidate) -> float:
            if candidate.number == 1:
                held(folder / "study.db", 1.5)
            return super().evaluate(candidate)

    assert searched(recipe, evaluator=Locking(), quiet=False).trials == 3
    assert capsys.readouterr().err.count("another program holds it; waiting for up to 60 s") == 1
    assert complete(folder) == 3


@pytest.mark.usefixtures("hasty")
def test_a_lock_that_lasts_ends_the_run_with_everything_kept(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name
    threads: list[threading.Thread] = []

    class Locking(Formula):
        def evaluate(self, candidate: Candidate) -> float:
            if candidate.number == 1:
                threads.append(held(folder / "study.db", 4.0))
            return super().evaluate(candidate)

    with pytest.raises(WorkError, match=r"study\.db: another program has held it .* is kept\..*--resume"):
        searched(recipe, evaluator=Locking())
    threads[0].join()
    assert complete(folder) == 1
    assert searched(recipe, resume=True).trials == 3
    assert complete(folder) == 3


# Full disks --------------------------------------------------------------------------------------------------------


def test_a_full_disk_in_the_study_is_one_line_and_the_run_goes_on_later(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("search: {trials: 30, algorithm: random}\n", table=table_path)
    folder = Path(recipe.output) / recipe.name
    connect = sqlite3.connect

    def small(path: object, **options: object) -> sqlite3.Connection:
        database = connect(path, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 40")
        return database  # type: ignore[no-any-return]

    with monkeypatch.context() as patched:
        patched.setattr("edgenas.study.study.sqlite3.connect", small)
        with pytest.raises(WorkError, match=r"no space left on the disk.*--resume") as caught:
            searched(recipe)
    assert "\n" not in str(caught.value)
    before = complete(folder)
    assert 0 < before < 30
    assert searched(recipe, resume=True).trials == 30
    assert complete(folder) == 30


def test_a_full_disk_at_any_file_of_the_search_is_one_line(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgenas.export.files import write_atomically

    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name
    for place in range(12):
        written = []

        def full(path: Path, content: bytes | str, place: int = place, written: list[Path] = written) -> None:
            written.append(path)
            if len(written) > place:
                raise WorkError(f"{path}: cannot be written (No space left on device); nothing was changed")
            write_atomically(path, content)

        with monkeypatch.context() as patched:
            for module in ("run.fingerprints", "run.folder", "run.profile", "run.outcomes"):
                patched.setattr(f"edgenas.{module}.write_atomically", full, raising=False)
            try:
                searched(recipe, resume=True)
            except WorkError as error:
                words = str(error)
            else:
                break
        assert "\n" not in words
        assert "--resume" in words
    assert place > 3
    assert searched(recipe, resume=True).trials == 3
    assert complete(folder) == 3


def test_a_worker_without_space_ends_the_run_and_not_the_candidate(make_recipe: Make, table_path: Path) -> None:
    class NoSpace(Formula):
        def evaluate(self, candidate: Candidate) -> float:
            if candidate.number == 1:
                raise WorkError(f"/tmp/x: {OSError(errno.ENOSPC, 'No space left on device')}")
            return super().evaluate(candidate)

    recipe = make_recipe(THREE, table=table_path)
    with pytest.raises(WorkError, match=r"trial 1: .*no space left.*--resume"):
        searched(recipe, evaluator=NoSpace())
    assert searched(recipe, resume=True).trials == 3
    assert complete(Path(recipe.output) / recipe.name) == 3


def test_too_little_space_is_found_before_the_first_trial(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("edgenas.run.disk.shutil.disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    recipe = make_recipe(THREE, table=table_path)
    with pytest.raises(WorkError, match=r"demo: a run needs about \d+ MB, 0\.0 MB are free"):
        searched(recipe)
    assert not (Path(recipe.output) / recipe.name).exists()


def test_temporary_files_that_cannot_be_written_name_the_variable(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgenas.run.disk.tempfile.TemporaryFile", full)
    with pytest.raises(WorkError, match="TMPDIR"):
        searched(make_recipe(THREE, table=table_path))


# Damaged files -----------------------------------------------------------------------------------------------------


def test_a_damaged_study_is_refused_by_everything_that_opens_it(make_recipe: Make, table_path: Path) -> None:
    from edgenas.report import build_report

    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    assert (result.run / "study.db.bak").is_file()
    content = bytearray((result.run / "study.db").read_bytes())
    content[100:4000] = bytes(3900)
    (result.run / "study.db").write_bytes(content)
    for action in (
        lambda: searched(recipe, resume=True),
        lambda: export_trial(result.run),
        lambda: export_trial(result.run, 1),
        lambda: build_report(result.run),
    ):
        with pytest.raises(StudyDamagedError, match=r"study is damaged.*study\.db\.bak of .* holds 3 trials"):
            action()
    assert (result.run / "study.db").read_bytes() == content
    shutil.copy(result.run / "study.db.bak", result.run / "study.db")
    assert searched(recipe, resume=True).trials == 3


@pytest.mark.parametrize(
    "steps",
    [
        '"search"',
        '{"search": 3}',
        '{"search": {"seconds": "long"}}',
        '{"choose": {"trial": "one"}}',
        '{"choose": {"trial": -1}}',
        '{"choose": {"rejected": []}}',
        '{"export": {"done": true, "trial": 1}}',
    ],
)
def test_a_damaged_state_is_refused_and_deletes_nothing(make_recipe: Make, table_path: Path, steps: str) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    (result.run / "state.json").write_text(f'{{"format": 1, "steps": {steps}}}')
    with pytest.raises(InputError, match=r"state\.json: not the state of a run.*Delete it and continue with --resume"):
        searched(recipe, resume=True)
    assert complete(result.run) == 3
    (result.run / "state.json").unlink()
    assert searched(recipe, resume=True).trials == 3


def test_a_damaged_table_of_a_run_is_made_again_when_it_is_deleted(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    (result.run / "table.csv").write_bytes(b"\x00\xff nothing")
    with pytest.raises(InputError, match=r"It is the run's copy: delete .*table\.csv and continue with --resume"):
        searched(recipe, resume=True)
    (result.run / "table.csv").unlink()
    assert searched(recipe, resume=True).trials == 3
    assert (result.run / "table.csv").read_bytes() == table_path.read_bytes()


# Exporting a trial -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_trial_that_the_user_chooses_has_a_bundle_of_its_own(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    from edgenas.export.bundle.bundle import verify_bundle

    text = """
    search: {trials: 2, algorithm: random}
    training: {epochs: 1, max_steps: 3, batch_size: 32}
    export: {calibration_images: 20, accuracy_drop: 1.0}
    """
    recipe = make_recipe(text, table=table_path, latency_ms=50.0)
    result = searched(recipe, ship=True)
    chosen = result.shipped["trial"]
    before = {path.name: path.read_bytes() for path in (result.run / "bundle").iterdir()}
    state = RunFolder(result.run).read(ChooseRecord), RunFolder(result.run).read(ExportRecord).trial

    exported = export_trial(result.run, 1 - chosen)
    assert exported.bundle == result.run / "bundles" / f"trial-{1 - chosen}"
    assert f"shipped: trial {1 - chosen} in {exported.bundle}: " in exported.summary()
    assert exported.to_json()["shipped"]["trial"] == 1 - chosen
    assert exported.to_json()["bundle"] == str(exported.bundle)
    assert {path.name: path.read_bytes() for path in (result.run / "bundle").iterdir()} == before
    assert (RunFolder(result.run).read(ChooseRecord), RunFolder(result.run).read(ExportRecord).trial) == state
    assert verify_bundle(exported.bundle) == []
    assert exported.best == result.best

    elsewhere = export_trial(result.run, output=tmp_path / "elsewhere")
    assert verify_bundle(tmp_path / "elsewhere") == []
    assert (tmp_path / "elsewhere" / "model.tflite").read_bytes() == before["model.tflite"]
    assert elsewhere.shipped["trial"] == chosen
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not touch")
    with pytest.raises(InputError, match="holds other things than a bundle"):
        export_trial(result.run, 1, output=tmp_path / "full")

    final = result.run / "trials" / str(chosen) / "final"
    (result.run / "state.json").unlink()
    for name in ("training.json", "model.weights.h5"):
        content = (final / name).read_bytes()
        (final / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=rf"{name}: not the .* of .*training.*Delete it and continue"):
            run(recipe, resume=True, quiet=True)
        (final / name).write_bytes(content)
    assert run_recipe(result.run / "recipe.yaml", resume=True).shipped["trial"] == chosen


def test_a_data_fingerprint_is_of_content() -> None:
    from edgenas.data.dataset import Dataset

    images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4) % 2
    first = Dataset("a", images, labels, images, labels, ("x", "y"), "none", "here")
    second = Dataset("b", images.copy(), labels, images, labels, ("x", "y"), "other", "there")
    assert data_fingerprint(first, first.class_names) == data_fingerprint(second, second.class_names)
    third = Dataset("a", images, labels, images, labels, ("x", "z"), "none", "here")
    assert (
        data_fingerprint(third, third.class_names)["fingerprint"]
        != data_fingerprint(first, first.class_names)["fingerprint"]
    )


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [("tiny_edge", "1e9a88d99eb3e114"), ("mobilenet_v2", "a74ad933934342aa"), ("autoseg", "613e7393041f2970")],
)
def test_spaces_of_the_catalog_are_those_of_earlier_versions(name: str, fingerprint: str) -> None:
    """Runs that were begun before an update go on after it: another fingerprint refuses all of them."""
    assert space_fingerprint(SearchSpace.load(name))["fingerprint"] == fingerprint
