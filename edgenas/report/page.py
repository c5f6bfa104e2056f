"""The frame of the report: one HTML file with its style, its script and plotly.js inside, nothing from the network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from edgenas.report.data import ReportData
from edgenas.report.front import trial_actions
from edgenas.report.search_figures import trial_hovers
from edgenas.report.sections import PlacedFigure, body, headline
from edgenas.report.text import escape


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
    if figures:
        for name, content_of in (("trial-hovers", trial_hovers(data)), ("trial-actions", trial_actions(data))):
            specs += f'<script type="application/json" id="{name}">{_json_in_html(content_of)}</script>'
    style, script = (
        files("edgenas.report").joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "page.js")
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(data.name)} · EdgeNAS report</title>\n"
        f'<meta name="description" content="{escape(headline(data))}">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n{content}\n{library}{specs}\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _json_in_html(spec: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(spec, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
