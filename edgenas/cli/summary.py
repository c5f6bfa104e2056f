"""The summary of a run: in colour and in the width of the terminal, plain lines when it goes into a pipe or a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from edgenas.run.result import RunResult

#: Colours of how a figure is known, as the report has them.
_COLOURS = {"measured": "green", "simulated": "cyan", "modelled": "cyan", "predicted": "blue", "counted": "dim"}


def print_summary(result: RunResult) -> None:
    """Prints what a run found and where it is."""
    if not sys.stdout.isatty():
        print(result.summary())
        return
    from rich import box
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, line in result.lines():
        table.add_row(label, _coloured(line))
    Console().print(Panel(table, title=f"[bold]{result.run.name}[/]", title_align="left", box=box.ROUNDED))


def _coloured(line: str) -> Text:
    from rich.text import Text

    text = Text(line)
    for word, colour in _COLOURS.items():
        text.highlight_regex(rf"[\d.,]+ \w+ \({word}[^)]*\)", colour)
    text.highlight_regex(r"(?<=: )\w+ \d\.\d+(?= on)", "bold")
    text.highlight_regex(r"over the budget", "yellow")
    return text
