"""The frame of the report: one HTML file with its style, its script and plotly.js inside, nothing from the network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from edgenas.report.data import ReportData
from edgenas.report.search_figures import trial_hovers
from edgenas.report.sections import PlacedFigure, body, headline
from edgenas.report.text import escape

#: Draws the figures; on touch screens a drag scrolls the page instead of zooming into a picture.
_SCRIPT = """
const trials = JSON.parse(document.getElementById('trial-hovers').textContent);
const touch = window.matchMedia('(pointer: coarse)').matches;
for (const holder of document.querySelectorAll('.figure')) {
  const spec = JSON.parse(document.getElementById(holder.dataset.spec).textContent);
  for (const trace of spec.data) {
    if (trace.meta === 'trials') trace.hovertext = trace.customdata.map(number => trials[number]);
  }
  if (touch) spec.layout.dragmode = false;
  Plotly.newPlot(holder, spec.data, spec.layout, {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
  });
}
const watcher = new ResizeObserver(entries => entries.forEach(entry => Plotly.Plots.resize(entry.target)));
document.querySelectorAll('.figure').forEach(holder => watcher.observe(holder));
const fit = () => document.querySelectorAll('.figure').forEach(holder => Plotly.Plots.resize(holder));
window.addEventListener('beforeprint', fit);
window.addEventListener('afterprint', fit);
"""


def render_page(data: ReportData) -> str:
    """The whole report as HTML text. Everything that comes from the run is escaped."""
    from plotly.offline import get_plotlyjs

    figures: list[PlacedFigure] = []
    content = body(data, figures)
    library = f"<script>{get_plotlyjs()}</script>" if figures else ""
    specs = "".join(
        f'<script type="application/json" id="{figure.name}-spec">{_json_in_html(figure.spec)}</script>'
        for figure in figures
    )
    hovers = trial_hovers(data) if figures else {}
    specs += f'<script type="application/json" id="trial-hovers">{_json_in_html(hovers)}</script>' if figures else ""
    style = files("edgenas.report").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(data.name)} · EdgeNAS report</title>\n"
        f'<meta name="description" content="{escape(headline(data))}">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n{content}\n{library}{specs}\n"
        f"<script>{_SCRIPT if figures else ''}</script>\n</body>\n</html>\n"
    )


def _json_in_html(spec: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(spec, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
