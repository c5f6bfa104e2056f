"""Tables: rows of numbers and texts, from CSV files and arrays."""

from edgenas.data.tabular.examples import TableExamples
from edgenas.data.tabular.loading import load_table

__all__ = ["TableExamples", "load_table"]
