"""What all interactive pictures share: fonts, grids, margins, legend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

from edgenas.report.palette import GREEN, GREY

_GRID = "rgba(128,138,150,0.22)"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
TITLE_SIZE = 13


def empty_figure(height: int, x_title: str, y_title: str, **layout: Any) -> go.Figure:
    """A figure without data, ``height`` px high; ``layout`` overrides plotly's layout keys.

    Text and lines are grey here; the page's style sheet gives text the colour of the light or dark page.
    """
    axis = {
        "gridcolor": _GRID,
        "zeroline": False,
        "linecolor": "rgba(128,138,150,0.6)",
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": TITLE_SIZE}},
    }
    settings: dict[str, Any] = {
        "template": "none",
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 12.5, "color": GREY},
        "margin": {"l": 58, "r": 18, "t": 40, "b": 48},
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "x": 0,
            "y": 1.0,
            "xanchor": "left",
            "yanchor": "bottom",
        },
        "hoverlabel": {"align": "left", "font": {"family": _FONT, "size": 12}},
        "hovermode": "closest",
        "showlegend": True,
    }
    figure = go.Figure(layout={**settings, **layout})
    figure.update_xaxes(**axis, title_text=x_title)
    figure.update_yaxes(**axis, title_text=y_title)
    return figure


def add_front(figure: go.Figure, points: Iterable[tuple[float | None, float]], name: str = "") -> None:
    """The line of a Pareto front, in the legend where it has a name.

    It is the best that a given cost buys, so it goes across first and up at the next point.
    """
    front = sorted(set(points))
    figure.add_scatter(
        x=[x for x, _ in front],
        y=[y for _, y in front],
        mode="lines",
        line={"color": GREEN, "width": 2, "shape": "hv"},
        name=name or None,
        showlegend=bool(name),
        hoverinfo="skip",
    )
