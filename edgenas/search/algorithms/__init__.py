"""The algorithms: what to try next."""
