"""The steps of a run, in one folder."""
