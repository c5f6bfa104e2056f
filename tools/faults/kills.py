"""``kill -9`` at random moments of searches and of whole runs: nothing lost, nothing done twice, the same result."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim

from faults.processes import end_session
from faults.scene import Scene
from faults.searching import Search

#: Kills of one run, one after the other, before it is let finish.
KILLS_A_RUN = 4
TRIALS = 8
#: So many of the kills hit whole runs (training, export, report), which take longer.
WHOLE_SHARE = 0.2


def kills(scene: Scene, folder: Path, options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Kills runs of both kinds and compares what they come to with runs that nobody disturbed."""
    total = options.count("kills") * len(options.seeds)
    rng = np.random.default_rng([options.seeds[0], 7])
    whole = max(1, round(total * WHOLE_SHARE)) if total >= 5 else 0
    counts = _Counts()
    for workers in (1, 2):
        _searches(scene, folder / f"search-{workers}", workers, (total - whole + workers - 1) // 2, rng, counts)
    if whole:
        _whole_runs(scene, folder / "whole", whole, rng, counts)
    shutil.rmtree(folder, ignore_errors=True)
    return counts.to_json(), counts.claims()


class _Counts:
    def __init__(self) -> None:
        self.kills = self.too_late = self.lost = self.double = self.different = self.failed_resumes = 0
        self.runs = 0
        self.words: list[str] = []

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self).items()) | {
            "summary": f"{self.kills} kills in {self.runs} runs ({self.too_late} came when all was done): {self.lost} "
            f"finished trials lost, {self.double} finished twice, {self.different} runs came to something else, "
            f"{self.failed_resumes} resumes failed"
        }

    def claims(self) -> list[dict[str, Any]]:
        of = f"in {self.kills} kills"
        return [
            claim(f"kills: finished trials lost {of}", self.lost, 0),
            claim(f"kills: trials finished twice {of}", self.double, 0),
            claim(f"kills: resumed runs unlike an undisturbed one {of}", self.different, 0),
            claim(f"kills: resumes that failed {of}", self.failed_resumes, 0),
        ]


def _searches(scene: Scene, folder: Path, workers: int, count: int, rng: np.random.Generator, counts: _Counts) -> None:
    if count <= 0:
        return
    formula = {"seconds": 0.15}
    undisturbed = Search(scene, folder / "undisturbed", TRIALS, workers, formula)
    first = undisturbed()
    wanted, length = undisturbed.trials_found(), first.seconds
    done = 0
    while done < count:
        search = Search(scene, folder / f"run-{done}", TRIALS, workers, formula)
        counts.runs += 1
        for _ in range(min(KILLS_A_RUN, count - done)):
            done += 1
            _kill_once(search, "search", rng, length, counts)
        _finish(search, "search", wanted, counts)
        shutil.rmtree(search.folder)


def _kill_once(search: Search, verb: str, rng: np.random.Generator, length: float, counts: _Counts) -> None:
    """Starts or resumes, kills at a random moment, and compares the finished trials before and after."""
    before = search.trials_found()
    process = search.start(verb, *(("--resume",) if (search.run / "recipe.yaml").is_file() else ()))
    if rng.random() < 0.5:  # most moments are imports: half of the kills wait for the work to begin
        search.wait_for("trial_started" if rng.random() < 0.7 else "step_started", 1, process)
        time.sleep(float(rng.uniform(0, 0.4 * length)))
    else:
        time.sleep(float(rng.uniform(0.2, 1.1 * length)))
    counts.kills += 1
    if process.poll() is not None:
        counts.too_late += 1
        if process.returncode != 0:
            counts.failed_resumes += 1
            counts.words.append(search.finish(process).words)
    else:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if rng.random() < 0.5:  # workers end by themselves, or are still there when the run is resumed
        time.sleep(0.2)
    else:
        end_session(process)
    _compare(before, search, counts)


def _compare(before: dict[int, tuple[Any, ...]], search: Search, counts: _Counts) -> None:
    after = search.trials_found()
    counts.lost += sum(after.get(number) != facts for number, facts in before.items())
    # What the log calls finished is in the study.
    logged = [trial for (event, trial) in search.events() if event in ("trial_complete", "trial_failed")]
    counts.lost += sum(trial not in after for trial in logged)


def _finish(search: Search, verb: str, wanted: dict[int, tuple[Any, ...]], counts: _Counts) -> None:
    before = search.trials_found()
    resume = ("--resume",) if (search.run / "recipe.yaml").is_file() else ()
    ended = search(verb, *resume)
    if ended.kind != "ok":
        counts.failed_resumes += 1
        counts.words.append(f"{ended.kind}: {ended.words}")
    _compare(before, search, counts)
    counts.double += sum(
        number - 1 for (event, _), number in search.events().items() if event == "trial_complete" and number > 1
    )
    counts.different += search.trials_found() != wanted


def _whole_runs(scene: Scene, folder: Path, count: int, rng: np.random.Generator, counts: _Counts) -> None:
    """Runs with their final training, export and report; the shipped files are the same to the byte."""
    undisturbed = Search(scene, folder / "undisturbed", 3, 1)
    length = undisturbed("run").seconds
    wanted, model = undisturbed.trials_found(), _model(undisturbed)
    done = 0
    while done < count:
        search = Search(scene, folder / f"run-{done}", 3, 1)
        counts.runs += 1
        for _ in range(min(KILLS_A_RUN, count - done)):
            done += 1
            _kill_once(search, "run", rng, length, counts)
        _finish(search, "run", wanted, counts)
        if _model(search) != model or model is None:
            counts.different += 1
            counts.words.append("the shipped model is another one")
        shutil.rmtree(search.folder)


def _model(search: Search) -> bytes | None:
    path = search.run / "bundle" / "model.tflite"
    return path.read_bytes() if path.is_file() else None
