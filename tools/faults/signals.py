"""INT, TERM, HUP and closed pipes: a clear last line, no process left, and a run that goes on as if undisturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarking.claims import claim

from faults.processes import end_session, session_of
from faults.scene import Scene
from faults.searching import Search

TRIALS = 8
FORMULA = {"seconds": 0.2}
#: (name, signal, to the whole process group as a terminal does, event of the log to wait for)
SIGNALS = (
    ("INT", signal.SIGINT, True, "trial_complete"),
    ("TERM", signal.SIGTERM, False, "trial_complete"),
    ("HUP", signal.SIGHUP, True, "trial_complete"),
    ("TERM to the group", signal.SIGTERM, True, "trial_started"),
    ("INT while it starts", signal.SIGINT, True, "step_started"),
    ("HUP while it starts", signal.SIGHUP, False, "trial_started"),
)
PIPES = ("standard output closed", "both closed")


def signals(scene: Scene, folder: Path, options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A search for each signal and pipe, interrupted in its middle and then resumed."""
    undisturbed = Search(scene, folder / "undisturbed", TRIALS, 2, FORMULA)
    undisturbed()
    wanted = undisturbed.trials_found()
    rows = []
    count = options.count("signals")
    for index, (name, number, group, event) in enumerate(SIGNALS[: max(count - 2, 1)]):
        rows.append(_signal(Search(scene, folder / str(index), TRIALS, 2, FORMULA), name, number, group, event, wanted))
    for name in PIPES[: max(1, count // 4)]:
        rows.append(_pipe(Search(scene, folder / name.replace(" ", "-"), TRIALS, 2, FORMULA), name, wanted))
    for row in rows:
        if row["problems"]:
            print(f"  {row['name']}: {'; '.join(row['problems'])}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    wrong = sum(bool(row["problems"]) for row in rows)
    found = {"rows": rows, "summary": f"{len(rows)} signals and closed pipes: {len(rows) - wrong} as they should be"}
    return found, [claim(f"signals: interruptions that do not end well, of {len(rows)}", wrong, 0)]


def _signal(
    search: Search, name: str, number: signal.Signals, group: bool, event: str, wanted: dict[int, tuple[Any, ...]]
) -> dict[str, Any]:
    problems = []
    process = search.start()
    search.wait_for(event, 2 if event == "trial_complete" else 1, process)
    (os.killpg if group else os.kill)(process.pid, number)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        problems.append("still there after 30 s")
    time.sleep(1.0)  # workers end themselves when their parent is gone
    if left := [pid for pid in session_of(process.pid) if pid != process.pid]:
        problems.append(f"{len(left)} processes left")
    ended = search.finish(process, 1.0)
    if ended.kind != "failed":
        problems.append(f"ended as {ended.kind} ({process.returncode}): {ended.words[:200]}")
    if "--resume" not in ended.words and ended.kind == "failed":
        problems.append(f"the last line does not say how to go on: {ended.words[:200]}")
    problems += _resumed(search, wanted)
    return {"name": name, "problems": problems}


def _pipe(search: Search, name: str, wanted: dict[int, tuple[Any, ...]]) -> dict[str, Any]:
    """The reader goes away after the start, as ``| head`` does: the search itself goes on to its end."""
    problems = []
    reading, writing = os.pipe()
    options: dict[str, Any] = {"stdout": writing}
    if name == "both closed":
        options["stderr"] = writing
    process = search.start(**options)
    os.close(writing)
    os.close(reading)
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        problems.append("still there after 120 s")
    end_session(process)
    if search.trials_found() != wanted:
        problems.append(f"only {len(search.trials_found())} of {TRIALS} trials were finished")
    output = search.output.read_text(encoding="utf-8", errors="replace")
    if "Traceback" in output:
        problems.append(output.splitlines()[-1][:200])
    problems += _resumed(search, wanted)
    return {"name": name, "problems": problems}


def _resumed(search: Search, wanted: dict[int, tuple[Any, ...]]) -> list[str]:
    ended = search("search", *(("--resume",) if (search.run / "recipe.yaml").is_file() else ()))
    if ended.kind != "ok":
        return [f"the resume ended as {ended.kind}: {ended.words[:200]}"]
    if search.trials_found() != wanted:
        return ["the resumed search came to something else"]
    if any(number > 1 for (event, _), number in search.events().items() if event == "trial_complete"):
        return ["a trial was finished twice"]
    return []
