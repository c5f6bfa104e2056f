"""The points of the Pareto front, each with its bundle or the command that makes it."""

from __future__ import annotations

import shlex
from typing import Any

from edgenas.report.data import ReportData, TrialPoint
from edgenas.report.files import link
from edgenas.report.pareto import trial_front
from edgenas.report.text import escape, millijoules, milliseconds, percent

#: Rows below the picture; the picture itself has all.
_SHOWN = 40


def export_command(data: ReportData, number: int | str) -> str:
    """What makes a bundle of a trial."""
    return f"edgenas export {shlex.quote(data.run_path)} --trial {number}"


def trial_actions(data: ReportData) -> dict[str, Any]:
    """For the page's script: the bundles that there are, by trial, and the command for the others."""
    return {
        "bundles": {str(number): path for number, path in data.bundles.items()},
        "command": export_command(data, "NUMBER"),
    }


def front_html(data: ReportData) -> str:
    """A table of the front, the fastest first; empty where it has fewer than two points."""
    front = [trial for trial, is_on in zip(data.trials, trial_front(data), strict=True) if is_on]
    if len(front) < 2:
        return ""
    front.sort(key=lambda trial: (trial.latency_ms or 0.0, trial.number))
    rows = "".join(_row(data, trial) for trial in front[:_SHOWN])
    more = f" The first {_SHOWN} of {len(front)}." if len(front) > _SHOWN else ""
    has_energy = any(trial.energy_mj is not None for trial in front)
    energy = "<th>energy</th>" if has_energy else ""
    return (
        '<div class="panel"><h3>The front, point by point</h3><p class="caption">Each with its bundle, or the command '
        f"that trains, exports and measures it.{more}</p>"
        '<div class="scroll"><table class="front"><thead><tr><th>trial</th>'
        f"<th>{escape(data.metric_title)}</th><th>latency</th>{energy}<th>bundle</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _row(data: ReportData, trial: TrialPoint) -> str:
    bundle = data.bundles.get(trial.number)
    what = (
        link(f"{bundle}/README.md", f"{bundle}/")
        if bundle is not None
        else f"<code>{escape(export_command(data, trial.number))}</code>"
    )
    if trial.feasible is False:
        what += ' <span class="tag over">over budget</span>'
    energy = "" if trial.energy_mj is None else f'<td class="number">{millijoules(trial.energy_mj)}</td>'
    chosen = " class=chosen" if trial.number == data.best_trial else ""
    return (
        f'<tr{chosen}><td class="number">{trial.number}</td><td class="number">{percent(trial.score)}</td>'
        f'<td class="number">{milliseconds(trial.latency_ms)}</td>{energy}<td>{what}</td></tr>'
    )
