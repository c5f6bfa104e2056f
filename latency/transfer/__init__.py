"""A table for another device from one that is there."""
