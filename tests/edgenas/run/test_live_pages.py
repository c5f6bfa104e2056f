"""The live report and the dashboard in a browser: the points of the Pareto plot, and trials that appear."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.run.serving import serving
from edgenas.study.candidates import Candidate, Evaluator
from edgenas.study.scheduler import InProcess
from edgenas.study.store import open_study
from tests.edgenas.browser import BROWSERS, Browser, browser_program

Make = Callable[..., Recipe]
#: (x, y) of all trials in the plot, as it was drawn.
POINTS = """
[...document.querySelectorAll('.figure')].slice(0, 1).flatMap(figure => (figure.calcdata || []).flatMap(points =>
  points[0].trace.meta === 'trials' ? points.map(point => [point.x, point.y]) : []))
"""


class OneByOne:
    """Each trial waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        assert self.go.acquire(timeout=200)
        return 0.2 + sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


@pytest.mark.skipif(browser_program() is None, reason=f"none of {', '.join(BROWSERS)} is on this machine")
def test_a_trial_appears_in_the_report_and_in_the_dashboard(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    pytest.importorskip("optuna_dashboard", reason="needs the extra edgenas[dashboard]")
    program = browser_program()
    assert program is not None
    evaluator = OneByOne()
    with (
        serving(f"sqlite:///{tmp_path / 'served.db'}", port=0, dashboard=True) as (url, page),
        Browser(program) as browser,
    ):
        recipe = make_recipe("search: {trials: 4}\n", table=table_path).with_study(url)
        options: dict[str, Any] = {"evaluator": evaluator, "scheduler": InProcess, "ship": False, "quiet": True}
        search = threading.Thread(target=run, args=(recipe,), kwargs=options)
        search.start()
        evaluator.go.release(2)
        browser.open(page)
        browser.wait_for(f"({POINTS}).length === 2")
        evaluator.go.release()
        points = browser.wait_for(f"({POINTS}).length === 3 && ({POINTS})")
        store = open_study(url)
        trials = [trial for trial in store.trials if trial.state == "complete"]
        store.close()
        expected = sorted((trial.predicted["latency_ms"], trial.top1) for trial in trials)
        drawn = sorted(_as_shares(points, expected))
        assert [pair == pytest.approx(wanted, rel=1e-6) for pair, wanted in zip(drawn, expected, strict=True)] == [
            True
        ] * 3
        browser.open(page.replace("/report", "/dashboard/studies/1/trials"))
        seen = "document.body.innerText.match(/Trial \\d+/g)"
        browser.wait_for(f"{seen} && {seen}.includes('Trial 2')")
        evaluator.go.release()
        search.join(120)
        browser.wait_for(f"{seen} && {seen}.includes('Trial 3')")


def _as_shares(points: list[list[float]], expected: list[tuple[float, Any]]) -> list[tuple[float, float]]:
    """The plot shows the metric in percent."""
    percent = max(y for _, y in points) > 1
    return [(x, y / 100 if percent else y) for x, y in points]
