"""Int8 tensors that must have one scale: what is concatenated or compared, and all that only moves it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.export.deployed import DeployedGraph
from edgenas.export.quantization.activation_ranges import ActivationRange, Quantization


def same_quantization(first: Quantization, second: Quantization) -> bool:
    """Whether equal stored numbers mean equal values."""
    return first.zero_point == second.zero_point and np.array_equal(first.scale, second.scale)


def tied_quantizations(graph: DeployedGraph, ranges: Mapping[str, ActivationRange]) -> dict[str, Quantization]:
    """By tensor, the scale of its group: the converter spreads what several tensors hold over one scale."""
    leader = {name: name for name in graph.shapes}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    tied = set()
    for node in graph.nodes:
        if node.op.traits.same_scale or node.op.traits.keeps_range:
            for source in node.inputs:
                leader[find(source)] = find(node.name)
        if node.op.traits.same_scale:
            tied.add(node.name)
    groups = {find(name) for name in tied}
    bounds: dict[str, list[ActivationRange]] = {group: [] for group in groups}
    for name, values in ranges.items():
        if find(name) in groups:
            bounds[find(name)].append(values)
    shared = {
        group: ActivationRange(min(v.low for v in members), max(v.high for v in members), 0.0, 1.0).quantization()
        for group, members in bounds.items()
    }
    return {name: shared[find(name)] for name in ranges if find(name) in groups}
