"""Damaged ``study.db`` files: resume, report and export refuse them clearly, or are right all the same."""

from __future__ import annotations

import csv
import io
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim

from faults.mutations import mutate_bytes
from faults.outcomes import WRONG, Outcome
from faults.runner import Job, run_jobs
from faults.scene import Scene
from faults.searching import Search, read_trials
from faults.stand_ins import SHIPPED

COMMANDS = ("resume", "report", "export")
_ODD_JSON = (
    "null",
    "{}",
    "[]",
    '"abc"',
    "-1",
    "NaN",
    "1e999",
    "{",
    "",
    '{"latency_ms": "x"}',
    "[1, 2",
    "true",
    "[99, 99]",
)


def corruptions(scene: Scene, folder: Path, options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Each damage in three commands: ``run --resume``, ``report`` and ``export --trial 2``."""
    finished = Search(scene, folder / "finished", 8, stand_in="instant")
    finished()
    wanted = finished.trials_found()
    unfinished = _unfinished(scene, folder / "unfinished", finished)
    jobs = [
        job
        for seed in options.seeds
        for index in range(options.count("corruptions"))
        for job in _jobs(finished if index % 2 else unfinished, folder, seed, index, wanted)
    ]
    counts = {command: Counter[str]() for command in COMMANDS}
    wrong: list[Outcome] = []
    for outcome in run_jobs(jobs, options.limits, options.parallel):
        _, command, _, damage = outcome.name.split("/")
        counts[command][outcome.kind] += 1
        if outcome.kind in WRONG:
            wrong.append(outcome)
            print(f"  {outcome.name}: {outcome.kind}: {outcome.words[:200]}", flush=True)
            if options.keep is not None:
                place = folder / "cases" / outcome.name.split("/")[2] / command
                shutil.copytree(place, options.keep / outcome.name.replace("/", "-"), dirs_exist_ok=True)
        _ = damage
    shutil.rmtree(folder, ignore_errors=True)
    return _summary(counts, wrong)


def _summary(counts: dict[str, Counter[str]], wrong: list[Outcome]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    total = sum(counts["report"].values())
    text = "; ".join(
        f"{command}: {', '.join(f'{number} {kind}' for kind, number in found.most_common())}"
        for command, found in counts.items()
    )
    sums = sum(counts.values(), Counter[str]())
    claims = [
        claim(f"corruptions: tracebacks in {total} damaged studies", sums["traceback"], 0),
        claim(f"corruptions: hangs, crashes, unclear refusals in {total}", sum(sums[k] for k in WRONG[1:-1]), 0),
        claim(f"corruptions: answers that are not right in {total} (resume, report, export)", sums["wrong"], 0),
    ]
    found = {
        "corruptions": total,
        "counts": {command: dict(found) for command, found in counts.items()},
        "wrong": [{"case": outcome.name, "kind": outcome.kind, "words": outcome.words} for outcome in wrong],
        "summary": f"{total} damaged studies: {text}",
    }
    return found, claims


def _unfinished(scene: Scene, folder: Path, finished: Search) -> Search:
    """The same search, as if killed while its seventh trial was evaluated."""
    search = Search(scene, folder, 8, stand_in="instant")
    shutil.copytree(finished.run, search.run)
    with sqlite3.connect(search.run / "study.db") as connection:
        last = [row[0] for row in connection.execute("select trial_id from trials where number >= 6 order by number")]
        for table in ("trial_values", "trial_params", "trial_user_attributes", "trial_system_attributes", "trials"):
            connection.execute(f"delete from {table} where trial_id = ?", (last[1],))
        connection.execute(
            "update trials set state = 'RUNNING', datetime_complete = null where trial_id = ?", (last[0],)
        )
        connection.execute("delete from trial_values where trial_id = ?", (last[0],))
        connection.execute(
            "delete from trial_user_attributes where trial_id = ? and key in ('top1', 'seconds', 'curve')", (last[0],)
        )
    connection.close()
    for number in (6, 7):
        shutil.rmtree(search.run / "trials" / str(number), ignore_errors=True)
    (search.run / "state.json").write_text(_without_search((search.run / "state.json").read_text()))
    return search


def _without_search(state: str) -> str:
    import json

    document = json.loads(state)
    document["steps"].pop("search", None)
    return json.dumps(document)


def _jobs(base: Search, folder: Path, seed: int, index: int, wanted: dict[int, tuple[Any, ...]]) -> list[Job]:
    """The three commands on copies of one damaged run."""
    jobs = []
    for command in COMMANDS:
        place = folder / "cases" / f"{seed}-{index}" / command
        shutil.copytree(base.folder, place)
        damage = damage_study(place / "run" / "study.db", np.random.default_rng([seed, 8, index]))
        argv = {
            "resume": ("run", "recipe.yaml", "-o", "run", "--resume"),
            "report": ("report", "run"),
            "export": ("export", "run", "--trial", "2"),
        }[command]
        check = {"resume": _check_resume, "report": _check_report, "export": _check_export}[command]
        name = f"corruptions/{command}/{seed}-{index}/{damage}"
        complete = base.folder.name == "finished"
        jobs.append(Job(name, argv, place, "instant-ship", check=_Check(check, place, wanted, complete)))
    return jobs


class _Check:
    def __init__(
        self,
        check: Callable[[Path, dict[int, tuple[Any, ...]], bool, Outcome], str | None],
        place: Path,
        wanted: dict[int, tuple[Any, ...]],
        complete: bool,
    ) -> None:
        self.check, self.place, self.wanted, self.complete = check, place, wanted, complete

    def __call__(self, outcome: Outcome) -> str | None:
        return self.check(self.place, self.wanted, self.complete, outcome)


def _check_resume(place: Path, wanted: dict[int, tuple[Any, ...]], complete: bool, outcome: Outcome) -> str | None:
    try:
        found = read_trials(place / "run" / "study.db")
    except (sqlite3.Error, ValueError) as error:
        return f"accepted, and the study cannot be read: {error}"
    if found != wanted:
        changed = [number for number in sorted(found | wanted) if found.get(number) != wanted.get(number)]
        return f"accepted, and trials {changed} are others"
    return None


def _check_report(place: Path, wanted: dict[int, tuple[Any, ...]], complete: bool, outcome: Outcome) -> str | None:
    text = (place / "run" / "pareto.csv").read_text(encoding="utf-8")
    known = {facts[1]: facts for number, facts in wanted.items()}
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows:
        return "a report without a trial"
    for row in rows:
        facts = known.get(row.get("architecture", ""))
        if facts is None:
            return f"a report with another architecture: {row.get('architecture')!r}"
        if abs(float(row.get("top1") or "nan") - facts[2]) > 1e-4:
            return f"a report with another accuracy: {row.get('top1')} instead of {facts[2]}"
    return None


def _check_export(place: Path, wanted: dict[int, tuple[Any, ...]], complete: bool, outcome: Outcome) -> str | None:
    architecture = wanted[2][1]
    if f"{SHIPPED} 2 {architecture}" not in outcome.stdout:
        shipped = [line for line in outcome.stdout.splitlines() if SHIPPED in line]
        return f"another trial or architecture is shipped: {shipped}, not trial 2, {architecture}"
    return None


# Damage -----------------------------------------------------------------------------------------------------------


def damage_study(path: Path, rng: np.random.Generator) -> str:
    """Damages a study's file and returns the kind of damage in a word."""
    kinds: tuple[Callable[[Path, np.random.Generator], None], ...] = (
        _flip, _flip, _flip_structure, _truncate, _zero_page, _noise_page, _swap_pages, _header, _other_file,
        _attribute, _attribute, _parameter, _value, _state, _rows, _tables, _append, _other_study,
    )  # fmt: skip
    kind = kinds[int(rng.integers(len(kinds)))]
    kind(path, rng)
    return kind.__name__.strip("_")


def _flip(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(mutate_bytes(path.read_bytes(), rng, int(rng.integers(1, 6))))


def _flip_structure(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    page = int(rng.integers(len(content) // 4096)) * 4096
    for _ in range(int(rng.integers(1, 6))):
        content[page + int(rng.integers(16 if page else 120))] = int(rng.integers(256))
    path.write_bytes(bytes(content))


def _truncate(path: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(rng.integers(len(content)))])


def _pages(path: Path) -> tuple[bytearray, int]:
    content = bytearray(path.read_bytes())
    return content, len(content) // 4096


def _zero_page(path: Path, rng: np.random.Generator) -> None:
    content, pages = _pages(path)
    at = int(rng.integers(pages)) * 4096
    content[at : at + 4096] = bytes(4096)
    path.write_bytes(bytes(content))


def _noise_page(path: Path, rng: np.random.Generator) -> None:
    content, pages = _pages(path)
    at = int(rng.integers(pages)) * 4096
    content[at : at + 4096] = rng.integers(0, 256, 4096, dtype=np.uint8).tobytes()
    path.write_bytes(bytes(content))


def _swap_pages(path: Path, rng: np.random.Generator) -> None:
    content, pages = _pages(path)
    first, second = (int(rng.integers(pages)) * 4096 for _ in range(2))
    page = content[first : first + 4096]
    content[first : first + 4096] = content[second : second + 4096]
    content[second : second + 4096] = page
    path.write_bytes(bytes(content))


def _header(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        content[int(rng.integers(100))] = int(rng.integers(256))
    path.write_bytes(bytes(content))


def _other_file(path: Path, rng: np.random.Generator) -> None:
    kinds = (b"", b"\x00" * 8192, b"SQLite format 3\x00", b"just some words\n", rng.bytes(40_000), b"PK\x03\x04")
    path.write_bytes(kinds[int(rng.integers(len(kinds)))])


def _append(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes() + rng.bytes(int(rng.integers(1, 9000))))


def _change(path: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("pragma ignore_check_constraints = on")
        for statement, values in statements:
            try:
                connection.execute(statement, values)
            except sqlite3.IntegrityError:
                continue
        connection.commit()
    finally:
        connection.close()


def _attribute(path: Path, rng: np.random.Generator) -> None:
    number = int(rng.integers(7))
    key = str(rng.choice(["architecture", "choices", "seed", "predicted", "attempts", "files", "top1", "seconds"]))
    where = "where key = ? and trial_id = (select trial_id from trials where number = ?)"
    if rng.random() < 0.3:
        _change(path, (f"delete from trial_user_attributes {where}", (key, number)))
        return
    value = _ODD_JSON[int(rng.integers(len(_ODD_JSON)))]
    _change(path, (f"update trial_user_attributes set value_json = ? {where}", (value, key, number)))


def _parameter(path: Path, rng: np.random.Generator) -> None:
    number = int(rng.integers(7))
    where = "where trial_id = (select trial_id from trials where number = ?)"
    changes = (
        f"delete from trial_params {where}",
        f"update trial_params set param_value = 99 {where}",
        f"update trial_params set param_value = null {where}",
        f"update trial_params set distribution_json = '{{}}' {where}",
        f"update trial_params set param_name = 'x' || param_id {where}",
    )
    _change(path, (changes[int(rng.integers(len(changes)))], (number,)))


def _value(path: Path, rng: np.random.Generator) -> None:
    number = int(rng.integers(6))
    where = "where trial_id = (select trial_id from trials where number = ?)"
    changes = (
        f"delete from trial_values {where}",
        f"update trial_values set value = 'abc' {where}",
        f"update trial_values set value = null {where}",
        f"update trial_values set value_type = 'INF_POS' {where}",
        f"update trial_values set value_type = 'NOTHING' {where}",
        f"update trial_values set value = 9e9 {where}",
    )
    _change(path, (changes[int(rng.integers(len(changes)))], (number,)))


def _state(path: Path, rng: np.random.Generator) -> None:
    number = int(rng.integers(7))
    state = str(rng.choice(["RUNNING", "WAITING", "FAIL", "PRUNED", "NOTHING", ""]))
    _change(path, ("update trials set state = ? where number = ?", (state, number)))


def _rows(path: Path, rng: np.random.Generator) -> None:
    number = int(rng.integers(7))
    changes: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("delete from trials where number = ?", (number,)),
        ("update trials set number = number + 100 where number = ?", (number,)),
        ("update trials set number = 0 where number = ?", (number,)),
        ("update trials set number = null where number = ?", (number,)),
        ("delete from trials", ()),
        ("delete from trial_user_attributes", ()),
        ("delete from study_user_attributes", ()),
        ("delete from study_directions", ()),
        ("delete from studies", ()),
        ("update studies set study_name = 'other'", ()),
        ("update study_directions set direction = 'MINIMIZE'", ()),
        ("insert into trials (number, study_id, state) select 50, study_id, 'RUNNING' from studies", ()),
        ("update alembic_version set version_num = 'v99'", ()),
        ("update version_info set schema_version = 99", ()),
    )
    _change(path, changes[int(rng.integers(len(changes)))])


_TABLES = (
    *("trials", "trial_user_attributes", "trial_values", "trial_params", "studies", "study_user_attributes"),
    *("study_directions", "alembic_version", "version_info"),
)


def _tables(path: Path, rng: np.random.Generator) -> None:
    _change(path, (f"drop table {_TABLES[int(rng.integers(len(_TABLES)))]}", ()))


def _other_study(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("create table notes (text)")
    connection.commit()
    connection.close()
