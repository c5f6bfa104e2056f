"""What a target makes of a model, in one shape for every target: which operator runs where, memory, what to change."""
