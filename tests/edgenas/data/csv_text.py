"""Tables as text, as users have them."""

from __future__ import annotations

import csv
import io

from edgenas.data.tabular.csv_file import TextTable


def rows_of(table: TextTable) -> str:
    """A table as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.names)
    writer.writerows(table.rows)
    return text.getvalue()
