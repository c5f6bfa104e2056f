"""The trials of a search: what failed, what was not shipped and why, and a table that can be sorted."""

from __future__ import annotations

from edgenas.report.data import ReportData, TrialPoint
from edgenas.report.files import link
from edgenas.report.finalists import finalists_html
from edgenas.report.pareto import trial_front
from edgenas.report.text import duration, escape, millijoules, milliseconds, percent, significant

_SHOWN_TRIALS = 200


def trials_html(data: ReportData) -> str:
    """Panels of the trials; empty without any."""
    if not data.trials:
        return ""
    short = {trial.number: trial.score for trial in data.trials}
    finalists = finalists_html(data.finalists, short, data.best_trial, data.metric_title)
    return finalists + _rejected(data) + _failed(data) + _table(data)


def ranked(data: ReportData) -> list[TrialPoint]:
    """The trials by reward, the best first; those without one last."""
    return sorted(data.trials, key=lambda trial: (-(trial.reward or float("-inf")), trial.number))


def _table(data: ReportData) -> str:
    front = {trial.number for trial, is_on in zip(data.trials, trial_front(data), strict=True) if is_on}
    trials = ranked(data)
    shown = trials[:_SHOWN_TRIALS]
    more = f" (the best {_SHOWN_TRIALS} by reward; all are in pareto.csv)" if len(trials) > _SHOWN_TRIALS else ""
    columns = [("trial", True), (data.metric_title, True), ("latency", True), ("energy", True), ("reward", True)]
    columns += [("time", True), ("what it is", False), ("architecture", False)]
    has_energy = any(trial.energy_mj is not None for trial in data.trials)
    columns = [column for column in columns if column[0] != "energy" or has_energy]
    head = "".join(
        f'<th scope="col" aria-sort="{"descending" if name == "reward" else "none"}">'
        f'<button type="button"{" data-numeric" if numeric else ""}>{escape(name)}</button></th>'
        for name, numeric in columns
    )
    rows = "".join(_row(data, trial, trial.number in front, has_energy) for trial in shown)
    energy = " with-energy" if has_energy else ""
    return (
        f'<details class="panel" open><summary>All {len(trials)} trials{more}</summary>'
        '<p class="caption">Sorted by reward; a click on a heading sorts by it. Latency and energy are predicted, the '
        f"{escape(data.metric_title)} is on validation {escape(data.example)}s {escape(data.judged)}.</p>"
        f'<div class="scroll tall"><table class="trials sortable{energy}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _row(data: ReportData, trial: TrialPoint, on_front: bool, has_energy: bool) -> str:
    chosen = trial.number == data.best_trial
    marks = [
        "chosen" if chosen else "",
        "front" if on_front else "",
        "over budget" if trial.feasible is False else "",
        trial.state if trial.score is None else "",
    ]
    tags = "".join(f'<span class="tag {escape(m.split()[0])}">{escape(m)}</span>' for m in marks if m)
    bundle = data.bundles.get(trial.number)
    if bundle is not None:
        tags += f'<span class="tag">{link(f"{bundle}/README.md", "bundle")}</span>'
    cells: list[tuple[float | None, str]] = [
        (trial.number, str(trial.number)),
        (trial.score, percent(trial.score)),
        (trial.latency_ms, milliseconds(trial.latency_ms)),
        *([(trial.energy_mj, millijoules(trial.energy_mj))] if has_energy else []),
        (trial.reward, significant(trial.reward)),
        (trial.seconds, duration(trial.seconds)),
    ]
    numbers = "".join(
        f'<td class="number"{"" if value is None else f" data-value={value:.6g}"}>{words}</td>'
        for value, words in cells
    )
    return (
        f"<tr{' class=chosen' if chosen else ''}>{numbers}<td>{tags}</td>"
        f'<td class="architecture"><code>{escape(trial.architecture)}</code></td></tr>'
    )


def _rejected(data: ReportData) -> str:
    rows = "".join(
        f'<tr><td class="number">{number}</td><td>{escape(reason)}</td></tr>'
        for number, reason in data.rejected.items()
    )
    return rows and (
        '<div class="panel"><h3>Better ones that were not shipped</h3><div class="scroll"><table><thead><tr><th>trial'
        f"</th><th>why</th></tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _failed(data: ReportData) -> str:
    if not data.failed:
        return ""
    rows = "".join(
        f'<tr><td class="number">{trial.number}</td><td>{escape(trial.error)}</td>'
        f'<td class="architecture"><code>{escape(trial.architecture)}</code></td></tr>'
        for trial in data.failed
    )
    return (
        f'<div class="panel"><h3>Failed trials: {len(data.failed)}</h3><div class="scroll"><table><thead><tr><th>trial'
        f"</th><th>what happened</th><th>architecture</th></tr></thead><tbody>{rows}</tbody></table></div></div>"
    )
