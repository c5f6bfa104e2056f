"""Evaluators of one's own: registered, named in a recipe, and found in worker processes and by ``edgenas worker``."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenas import plugins
from edgenas.recipe.recipe import Recipe, recipe_template
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.progress import Progress
from edgenas.run.shared import documents_of
from edgenas.run.worker import _plugins_here, work
from edgenas.spaces.errors import InputError
from edgenas.study.candidates import Candidate
from edgenas.study.documents import write_documents
from edgenas.study.evaluator_conformance import EvaluatorConformance
from edgenas.study.evaluators import CandidateEvaluator, evaluator_names, register_evaluator
from edgenas.study.store import open_study
from edgenas.study.study import Study

PLUGIN = """
from dataclasses import dataclass
from edgenas.study.evaluators import CandidateEvaluator, register_evaluator

@register_evaluator("{name}")
class Own(CandidateEvaluator):
    @dataclass(frozen=True)
    class Options:
        enough: int = 100_000

    def __call__(self, candidate):
        return min(self.network(candidate).params / self.options.enough, 1.0)
"""


@register_evaluator("by_parameters_here")
class ByParameters(CandidateEvaluator):
    @dataclass(frozen=True)
    class Options:
        enough: int = 1_000_000

    def __call__(self, candidate: Candidate, /) -> float:
        return min(self.network(candidate).params / self.options.enough, 1.0)


class TestByParameters(EvaluatorConformance):
    evaluator = "by_parameters_here"
    options = {"enough": 10_000_000}  # noqa: RUF012
    bad_options = ({"enough": "many"},)


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_given", [])


def own(make_recipe, table: Path, name: str, folder: Path, trials: int) -> Recipe:
    (folder / f"{name}.py").write_text(PLUGIN.format(name=name))
    search = f"search: {{trials: {trials}, evaluator: {name}, evaluator_options: {{enough: 20000}}}}\n"
    return make_recipe(f"plugins: [{name}.py]\n{search}", table=table)


def test_worker_processes_have_it_here_and_elsewhere(make_recipe, table_path: Path, tmp_path: Path) -> None:
    """In processes that import nothing but what the recipe lists; on the worker's machine the file lies elsewhere."""
    recipe = own(make_recipe, table_path, "own_evaluator", tmp_path, trials=2)
    one = recipe.model_copy(update={"search": recipe.search.model_copy(update={"trials": 1})})
    assert "by the evaluator 'own_evaluator'" in run(one, ship=False, quiet=True).summary()
    folder = RunFolder(Path(recipe.output) / recipe.name)
    url = f"sqlite:///{folder.study_path}"
    with closing(open_study(url)) as store:
        write_documents(store, documents_of(RunContext(recipe, folder, Progress(quiet=True))))
    (tmp_path / "elsewhere").mkdir()
    there = (tmp_path / "own_evaluator.py").rename(tmp_path / "elsewhere" / "own_evaluator.py")
    with pytest.raises(InputError, match=r"plug-in .*own_evaluator\.py is not here; name its file on this machine"):
        work(url, name="lost", folder=tmp_path / "lost", quiet=True)
    plugins.import_given([str(there)])
    helper = work(url, name="helper", folder=tmp_path / "helper", quiet=True)
    assert helper.trials == 1
    assert RunFolder(helper.folder).read_recipe().plugins == [str(there)]
    with closing(Study.open(folder.study_path)) as study:
        assert all(0 < (trial.score or 0) < 1 for trial in study.trials)
        assert [trial.worker for trial in study.trials] == ["", "helper"]


def test_plug_ins_of_a_worker_are_modules_given_files_and_the_same_paths(tmp_path: Path) -> None:
    here = tmp_path / "task.py"
    here.write_text("")
    assert _plugins_here(["my_package.blocks", str(here)], []) == ["my_package.blocks", str(here)]
    assert _plugins_here(["json", "/there/task.py"], [here]) == ["json", str(here)]
    with pytest.raises(InputError, match=r"the recipe has 1 plugins \(task.py\), 2 are given"):
        _plugins_here(["/there/task.py"], [here, here])


def test_what_is_wrong_is_told_with_the_recipe(make_recipe) -> None:
    with pytest.raises(InputError, match=r"unknown evaluator 'none_such': expected one of .*short_training"):
        make_recipe("search: {evaluator: none_such}\n")
    with pytest.raises(InputError, match=r"evaluator 'short_training' has no option 'epochs': it has none"):
        make_recipe("search: {evaluator_options: {epochs: 3}}\n")
    with pytest.raises(InputError, match=r"option 'enough' of evaluator 'by_parameters_here' must be int, found 'x'"):
        make_recipe("search: {evaluator: by_parameters_here, evaluator_options: {enough: x}}\n")


def test_installed_ones_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    points = [EntryPoint("own_installed_one", f"{__name__}:Installed", "edgenas.evaluators")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group.endswith("evaluators") else [])
    assert {"short_training", "own_installed_one"} <= set(evaluator_names())
    assert "evaluator: short_training" in recipe_template()
