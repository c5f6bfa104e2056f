"""The report of a run: ``report.html``, one file that needs no network, and ``pareto.csv`` for other programs."""

from edgenas.report.build import build_report

__all__ = ["build_report"]
