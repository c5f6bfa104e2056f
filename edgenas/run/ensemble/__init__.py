"""Several trained trials of a run as one network, within the run's budget: another way to use what a search found."""
