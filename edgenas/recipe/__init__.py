"""The YAML file that a user writes."""
