"""Searches replayed on tables of known accuracies."""
