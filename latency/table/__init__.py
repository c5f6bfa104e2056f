"""The table's file: rows, header, checks, comparison."""
