"""Operator lists (shapes only, no weights) of published networks whose Edge TPU latencies are known."""
