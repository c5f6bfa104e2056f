"""The bench of faults: its generators repeat by seed, and each kind runs a handful of cases."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield
    for name in [name for name in sys.modules if name == "faults" or name.startswith("faults.")]:
        del sys.modules[name]


@pytest.fixture
def scene(tools: None, tmp_path: Path) -> Any:
    from faults.scene import Scene

    return Scene.make(tmp_path / "scene")


KINDS = ("recipes", "spaces", "tables", "architectures", "archives", "pictures", "models")


@pytest.mark.parametrize("kind", KINDS)
def test_generators_repeat_by_seed(scene: Any, tmp_path: Path, kind: str) -> None:
    from faults.fuzzing import KINDS as GENERATORS

    def made(place: str, seed: int) -> list[Any]:
        jobs = list(GENERATORS[kind](scene, tmp_path / place, seed, 8))
        return [(job.name, job.argv[:1], _contents(job.folder, tmp_path / place)) for job in jobs]

    assert made("a", 0) == made("b", 0) != made("c", 1)


def _contents(folder: Path, root: Path) -> list[Any]:
    found = []
    for place, _, names in os.walk(os.fsencode(folder)):
        for name in sorted(names):
            path = os.path.join(place, name)
            plain = os.path.isfile(path) and not os.path.islink(path)
            content = b"" if not plain else Path(os.fsdecode(path)).read_bytes()
            found.append((name, content.replace(os.fsencode(root), b"")))
    return sorted(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handful_of_cases_is_answered_or_refused(scene: Any, tmp_path: Path, kind: str) -> None:
    from faults.fuzzing import fuzz
    from faults.runner import Limits

    found = fuzz(kind, scene, tmp_path / "cases", 0, 6, Limits(clock_seconds=200.0), 2)
    assert sum(found.counts.values()) == 6
    assert [(outcome.name, outcome.kind, outcome.words) for outcome in found.wrong] == []


def test_outcomes_are_told_apart() -> None:
    from faults.outcomes import judge

    assert judge(0, "")[0] == "ok"
    assert judge(2 << 8, "error: a.yaml: no such file")[0] == "refused"
    assert judge(1 << 8, "error: the disk is full")[0] == "failed"
    assert judge(1 << 8, "what?")[0] == "unclear"
    assert judge(2 << 8, "error: " + "x" * 5000)[0] == "unclear"
    assert judge(2 << 8, "error: \x1b]0;title\x07")[0] == "unclear"
    assert judge(2 << 8, "error: a\nTraceback (most recent call last):\nKeyError: 1")[0] == "traceback"
    assert judge(11, "")[0] == "crash"
    assert judge(3 << 8, "error: x")[0] == "crash"
    assert judge(9, "", "hang")[0] == "hang"


def test_the_watchdog_ends_what_sleeps_works_on_or_grows(scene: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from faults import entry
    from faults.runner import Job, Limits, run_jobs

    def misbehave(argv: tuple[str, ...], stand_in: str) -> int:
        kept = []
        while True:
            if argv == ("grow",):
                kept.append(np.ones(1 << 22))
            elif argv == ("sleep",):
                signal.pause()

    monkeypatch.setattr(entry, "call", misbehave)
    jobs = []
    for name in ("sleep", "work", "grow"):
        (tmp_path / name).mkdir()
        jobs.append(Job(name, (name,), tmp_path / name))
    # A forked child begins with what this process holds, which other tests have filled.
    own = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    limits = Limits(cpu_seconds=1.0, still_seconds=2.0, clock_seconds=60.0, memory_bytes=own + (700 << 20))
    kinds = {outcome.name: outcome.kind for outcome in run_jobs(jobs, limits, 3)}
    assert kinds["sleep"] == "hang"
    assert kinds["work"] == "hang"
    assert kinds["grow"] in ("memory", "hang")  # a busy machine grows slowly


def test_stand_ins_replace_what_is_there(scene: Any, tmp_path: Path) -> None:
    from faults.runner import Job, Limits, run_jobs

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recipe.yaml").write_text(scene.recipe(trials=2))
    search = ("search", "recipe.yaml", "-o", "run")
    for stand_in, words in (("accept", "accepted"), ("instant", "2 trials")):
        job = Job(stand_in, search, tmp_path / "a", stand_in)
        (outcome,) = run_jobs([job], Limits(clock_seconds=200.0), 1)
        assert (outcome.kind, words in outcome.stdout) == ("ok", True), outcome.stderr
        if stand_in == "accept":
            import shutil

            shutil.rmtree(tmp_path / "a" / "run")
    job = Job("ship", ("export", "run", "--trial", "1"), tmp_path / "a", "instant-ship")
    (outcome,) = run_jobs([job], Limits(clock_seconds=200.0), 1)
    assert "would ship 1 " in outcome.stdout


def test_every_damage_of_a_study_is_done_and_repeats(tools: None, tmp_path: Path) -> None:
    from faults.corruptions import damage_study

    whole = tmp_path / "whole.db"
    with sqlite3.connect(whole) as connection:
        for name in ("trials", "trial_user_attributes", "trial_values", "trial_params", "studies"):
            connection.execute(f"create table {name} (trial_id, number, state, value, value_type, key, value_json)")
            connection.executemany(
                f"insert into {name} values (?, ?, 'a', 'b', 'c', 'd', 'e')", [(i, i) for i in range(9)]
            )
    connection.close()
    done = set()
    for seed in range(40):
        files = []
        for copy in ("a.db", "b.db"):
            (tmp_path / copy).write_bytes(whole.read_bytes())
            try:
                done.add(damage_study(tmp_path / copy, np.random.default_rng(seed)))
            except sqlite3.OperationalError:  # columns that this stand-in for a study lacks
                continue
            files.append((tmp_path / copy).read_bytes())
        assert len(set(files)) <= 1
    assert len(done) > 8


def test_a_disk_is_filled_only_when_it_is_a_small_one(tools: None, tmp_path: Path) -> None:
    from faults.filling import Filling

    facts = os.statvfs(tmp_path)
    if facts.f_blocks * facts.f_frsize <= 1 << 30:
        pytest.skip("the temporary folder is on a small disk")
    with pytest.raises(ValueError, match="not filled"):
        Filling("search", 0, tmp_path).fill()


def test_the_disk_is_filled_when_its_step_begins(tools: None, tmp_path: Path, monkeypatch: Any) -> None:
    from faults import filling, stand_ins

    from edgenas.run.context import RunContext
    from edgenas.run.records import SearchRecord, TrainRecord
    from edgenas.study import evaluation

    filled: list[str] = []
    monkeypatch.setattr(filling.Filling, "fill", lambda self: filled.append(self.point))
    monkeypatch.setenv(filling.VARIABLE, f"search:0:{tmp_path}")
    monkeypatch.setattr(RunContext, "step", lambda self, kind: kind.step)
    monkeypatch.setattr(evaluation, "ShortTrainingEvaluator", None)
    stand_ins.install("fill")
    context = RunContext.__new__(RunContext)
    assert [context.step(kind) for kind in (TrainRecord, SearchRecord)] == ["train", "search"]
    assert filled == ["search"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kills", "corruptions", "disk", "hang", "signals"])
def test_the_other_kinds_run(tools: None, tmp_path: Path, kind: str) -> None:
    import bench_faults

    out = tmp_path / "out.json"
    assert bench_faults.main(["--only", kind, "--cases", "2", "--json", str(out)]) == 0
    assert out.is_file()
