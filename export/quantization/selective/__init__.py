"""Quantization layer by layer: which layers cost accuracy in int8, and files that keep a few of them finer."""
