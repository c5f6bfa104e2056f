"""Writes the report into a run folder."""

from __future__ import annotations

from pathlib import Path

from edgenas.export.files import write_atomically


def build_report(run_dir: Path | str) -> Path:
    """Writes ``report.html`` and ``pareto.csv`` into a run folder and returns the path of the former.

    A run that is not finished gets a report of what there is, with a sentence on what is missing. Both files are
    replaced as a whole, so a reader never sees half a report. Raises InputError when the folder is no run, WorkError
    when it cannot be written.
    """
    from edgenas.report.load import load_report_data
    from edgenas.report.page import render_page
    from edgenas.report.pareto import pareto_csv

    run_dir = Path(run_dir)
    data = load_report_data(run_dir)
    write_atomically(run_dir / "pareto.csv", pareto_csv(data))
    write_atomically(run_dir / "report.html", render_page(data))
    return run_dir / "report.html"
