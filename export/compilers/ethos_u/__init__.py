"""Arm's Ethos-U NPUs: what Arm's own compiler, Vela, makes of a model, and what it estimates."""
