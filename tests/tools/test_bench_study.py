"""Shared studies under fire, and their bench: small ones of what the tools do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(TOOLS))
    yield
    for name in [name for name in sys.modules if name == "studies" or name.startswith("studies.")]:
        del sys.modules[name]


@pytest.mark.parametrize("store", ["postgres", pytest.param("grpc", marks=pytest.mark.slow)])
def test_nothing_is_lost_under_fire(store: str, tmp_path: Path) -> None:
    from studies.chaos import chaos
    from studies.postgres import postgres_programs

    if store == "postgres":
        pytest.importorskip("psycopg", reason="needs the extra edgenas[postgres]")
        if postgres_programs() is None:
            pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    found = chaos(
        store, tmp_path, trials=16, kills=3, server_kills=1, workers=3, seconds=0.2, seed=0, pause=0.3, patience=200.0
    )
    assert found.problems == []
    assert (found.worker_kills, found.server_kills) == (3, 1)
    assert found.evaluations >= 16


def test_the_judge_notices_what_is_wrong(tmp_path: Path) -> None:
    from studies.chaos import Chaos, _judge
    from studies.worker import SPACE, architecture

    from edgenas.study.tuning import Tuning

    log, url = tmp_path / "log", f"sqlite:///{tmp_path / 's.db'}"
    with Tuning(SPACE, study=url, trials=2, algorithm="random", maximize=True) as tuning:
        one = tuning.suggest()
        assert one is not None
        tuning.report(one, 2.0)
        log.write_text(f"begins 0 {architecture(one.values)} 1\n" * 2)
    found = Chaos("sqlite", 2)
    _judge(found, url, log)
    words = "; ".join(found.problems)
    for expected in ("2 complete trials were asked for", "the value of another", "2 evaluations, 1 attempts"):
        assert expected in words


def test_the_bench_counts_and_claims(tmp_path: Path) -> None:
    import bench_study

    url = f"sqlite:///{tmp_path / 'one.db'}"
    one = bench_study.overhead(url, 50, 0)
    assert one["cpu_ms"] > 0
    found = {
        "throughput": {"sqlite": [{"trials_per_s": 12.0, "cpu_ms": 5.0, "in_vain": 0.0}]},
        "overhead": {"sqlite": {10: one, 1000: one}},
        "resume": {"sqlite": {"seconds": 9.0, "mb": 100.0}},
        "report_seconds": 1.0,
    }
    claims = bench_study.claims_of(found, 1000, 4)
    assert [claim["met"] for claim in claims] == [True, True, False, True, True]


def test_the_programs_say_what_they_do() -> None:
    for name in ("bench_study.py", "studies/chaos.py", "studies/worker.py"):
        done = subprocess.run([sys.executable, TOOLS / name, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
