"""The steps of a run, one file each. Every step reads and writes the run folder and does only what is left to do."""
