"""Candidates that never end, die, or answer nonsense: the candidate fails, the search goes on."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarking.claims import claim

from faults.scene import Scene
from faults.searching import Search

#: Trials whose evaluation goes wrong; the first ones tell how long a candidate takes.
TRIALS = 8
FAULTY = 5
#: Where a candidate hangs, the search may take this long: a time limit has to end it.
PATIENCE_SECONDS = 200.0
FAULTS = ("sleep", "stop", "nan", "negative", "text", "error", "kill", "crash")


def hangs(scene: Scene, folder: Path, options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One search for each fault of a candidate; what the limit is, is left to its default."""
    faults = FAULTS[: options.count("hang")]
    with ThreadPoolExecutor(max(2, options.parallel)) as pool:  # they mostly wait
        rows = list(pool.map(lambda fault: _one(scene, folder / fault, fault), faults))
    shutil.rmtree(folder, ignore_errors=True)
    wrong = [row["fault"] for row in rows if not row["right"]]
    slowest = max((row["seconds"] for row in rows), default=0.0)
    found = {
        "rows": rows,
        "summary": f"{len(rows)} searches with a faulty candidate: {len(rows) - len(wrong)} failed it and went on; "
        f"the slowest took {slowest:.0f} s",
    }
    return found, [claim(f"hang: searches that a faulty candidate ended or stopped, of {len(rows)}", len(wrong), 0)]


def _one(scene: Scene, folder: Path, fault: str) -> dict[str, Any]:
    search = Search(scene, folder, TRIALS, 1, {"seconds": 0.05, "faults": {FAULTY: fault}})
    ended = search(patience=PATIENCE_SECONDS)
    found = search.trials_found()
    complete = sum(facts[0] == "COMPLETE" for facts in found.values())
    failed = found.get(FAULTY, ("nothing",))[0]
    right = ended.kind == "ok" and complete == TRIALS - 1 and failed == "FAIL"
    if not right:
        print(f"  {fault}: {ended.kind}, {complete} complete, trial {FAULTY} {failed}: {ended.words[:160]}", flush=True)
    return {
        "fault": fault,
        "right": right,
        "ended": ended.kind,
        "words": ended.words,
        "seconds": round(ended.seconds, 1),
        "complete": complete,
        "faulty_trial": failed,
    }
