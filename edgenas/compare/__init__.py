"""Models and quantizations side by side."""
