"""What a run says of itself: what is saved, and a summary in colour for a terminal, plain for a pipe."""

import dataclasses
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.cli.summary import print_summary
from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.progress import Progress
from edgenas.run.records import ExportRecord
from edgenas.run.result import RunResult
from edgenas.run.saved import saved_words
from edgenas.spaces.errors import WorkError
from edgenas.study.scheduler import InProcess
from edgenas.study.trial import Trial
from tests.edgenas.run.test_pipeline_ship import ByNumber

Make = Callable[..., Recipe]


def test_an_interruption_says_what_is_saved(make_recipe: Make, table_path: Path, capsys) -> None:
    recipe = make_recipe("search: {trials: 5}\n", table=table_path)

    class Interrupted(ByNumber):
        def evaluate(self, candidate):
            if candidate.number == 2:
                raise KeyboardInterrupt
            return super().evaluate(candidate)

    with pytest.raises(WorkError, match=r"interrupted; .*\(the latency table, 2 of 5 trials\)"):
        run(recipe, ship=False, evaluator=Interrupted(), scheduler=InProcess)
    assert "every finished trial, epoch of a final training and step is saved in" in capsys.readouterr().err
    run(recipe, ship=False, resume=True, evaluator=ByNumber(), scheduler=InProcess)
    said = capsys.readouterr().err
    assert "run demo goes on with the latency table, 2 of 5 trials" in said
    assert "saved in " in said.splitlines()[-2]


def test_trainings_and_the_bundle_are_told(make_recipe: Make, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    context = RunContext(make_recipe(), folder, Progress(quiet=True))
    assert saved_words(context) == "nothing that took long yet"
    for name in ("trials/3/final/training.json", "trials/12/final/checkpoints/checkpoint.npz", "trials/3/trial.json"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).touch()
    metrics = {"float": {"top1": 0.5}, "tflite": {"top1": 0.5}}
    measured = {"latency_ms": 1.0, "size_bytes": 1.0}
    folder.write(ExportRecord(done=True, trial=3, metric="top1", metrics=metrics, measured=measured))
    assert saved_words(context) == (
        "1 of 30 trials, the final training of trial 3, the final training of trial 12 up to its last whole epoch, "
        "the bundle"
    )


def test_the_summary_is_plain_in_a_pipe_and_coloured_in_a_terminal(tmp_path: Path, monkeypatch, capsys) -> None:
    metrics = {"float": {"top1": 0.8}, "tflite": {"top1": 0.79}}
    measured = {"latency_ms": 0.03, "size_bytes": 1000.0}
    record = ExportRecord(
        done=True, trial=3, metric="top1", metrics=metrics, latency_kind="measured", measured=measured
    )
    result = RunResult(tmp_path / "demo", None, 3, 7.0, record, tmp_path / "demo" / "bundle")
    print_summary(result)
    plain = capsys.readouterr().out
    assert plain == result.summary() + "\n"
    assert "0.03 ms (measured, median)" in plain

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for columns in ("60", "120"):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        print_summary(result)
        lines = terminal.getvalue().splitlines()
        assert any("\x1b[" in line for line in lines)
        assert max(len(_without_colours(line)) for line in lines) <= int(columns)


def test_what_is_shipped_is_the_best_of_the_search_only_where_it_is(tmp_path: Path) -> None:
    trial = Trial(1, "0", (0,), "complete", 0, {}, metric="top1", metrics={"top1": 0.4})
    result = RunResult(tmp_path / "demo", trial, 3, 7.0)
    assert "\nbest: trial 1, 0, top1 0.400 on validation" in result.summary()
    assert "\nchosen: trial 1, 0, top1 0.400 on validation" in dataclasses.replace(result, is_first=False).summary()


def _without_colours(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", line)
