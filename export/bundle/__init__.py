"""The folder that is shipped."""
