"""Predicted against measured, and whether a table still holds."""
