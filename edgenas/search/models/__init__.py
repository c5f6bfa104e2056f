"""Models of accuracy that algorithms learn from trials."""
