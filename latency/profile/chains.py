"""Chains of blocks for a compiler that plans networks as a whole: which block stands beside which.

Natural chains go on as networks of the space do. Where a space has much weight, a compiler's time goes by the weights
that it encodes, and equal ones are encoded once a network. So returning chains try all blocks of one input after each
other, with light convolutions back to that input between them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np

from edgenas.spaces.block import Block
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.blocks.merges import Edge
from edgenas.spaces.cost import graph_weight_bytes
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.network import Network, chain
from edgenas.spaces.ops import Shape

#: Names of nodes that are there for their neighbours.
AROUND = "around_"
_LONGEST_CHAIN = 12
#: The longer, the more weights are equal; a compiler's plan of the memory takes longer too.
_LONGEST_RETURNING = 48
_LIGHT = ConvBnAct(filters=8, kernel=1)


def natural_chains(
    wanted: Mapping[str, SlotEntry], blocks: Mapping[str, SlotEntry], rng: np.random.Generator, precision: str
) -> list[Network]:
    """Networks of blocks one after the other that together hold each wanted block of one input once.

    Where the first or the last one is not at an end of the space, the lightest block that fits stands before or after
    it, under a name that tells it apart: in a network no block begins or ends what is compiled.
    """
    ends = _ends(blocks)
    before, after = _lightest(blocks, ends, precision)
    lacking = defaultdict(list)
    for name in sorted(ends):
        if name in wanted:
            lacking[ends[name][0]].append(name)
    chains: list[Network] = []
    for shape in sorted(lacking, key=lambda shape: (-math.prod(shape[:-1]), shape)):
        while lacking[shape]:
            taken: list[str] = []
            here = shape
            while lacking[here] and len(taken) < _LONGEST_CHAIN:
                taken.append(lacking[here].pop(int(rng.integers(len(lacking[here])))))
                here = ends[taken[-1]][1]
            parts = {f"block{place}": blocks[name].block for place, name in enumerate(taken)}
            start = shape
            if (lead := before.get(shape)) is not None:
                parts = {f"{AROUND}before": blocks[lead].block, **parts}
                start = ends[lead][0]
            if (tail := after.get(here)) is not None:
                parts[f"{AROUND}after"] = blocks[tail].block
            chains.append(chain(f"chain{len(chains)}", start, parts))
    return chains


def returning_chains(
    wanted: Mapping[str, SlotEntry], blocks: Mapping[str, SlotEntry], rng: np.random.Generator, precision: str
) -> list[Network]:
    """The same with all blocks of one input in as few chains as can be.

    Behind a block with another output stand light convolutions back to the input, and one of the chain's own blocks
    that keep the shape, since what a block costs depends on the one before it. A block from whose output nothing light
    leads back ends its chain.
    """
    ends = _ends(blocks)
    before, after = _lightest(blocks, ends, precision)
    groups = defaultdict(list)
    for name in ends:
        if name in wanted:
            groups[ends[name][0]].append(name)
    chains: list[Network] = []
    for shape in sorted(groups, key=lambda shape: (-math.prod(shape[:-1]), shape)):
        names = groups[shape]
        lacking = _alternating([names[place] for place in rng.permutation(len(names))], ends)
        while lacking:
            taken = [lacking.pop(0)]
            while lacking and len(taken) < _LONGEST_RETURNING and way_back(ends[taken[-1]][1], shape) is not None:
                taken.append(lacking.pop(0))
            parts, start = _returning_parts(taken, blocks, ends, rng), shape
            if (lead := before.get(shape)) is not None:
                parts = {f"{AROUND}before": blocks[lead].block, **parts}
                start = ends[lead][0]
            out = ends[taken[-1]][1]
            if out == shape and len(shape) == 3:
                parts[f"{AROUND}after"] = _LIGHT
            elif way_back(out, shape) is None and (tail := after.get(out)) is not None:
                parts[f"{AROUND}after"] = blocks[tail].block
            chains.append(chain(f"chain{len(chains)}", start, parts))
    return chains


def way_back(start: Shape, end: Shape) -> list[Block] | None:
    """Light blocks that make the second shape of the first; None where there are none."""
    if start == end:
        return []
    if len(start) != 3 or len(end) != 3:
        return None
    last: Block = ConvBnAct(filters=end[2], kernel=1)
    up, rest = divmod(end[0], start[0])
    if rest or (up * start[0], up * start[1]) != (end[0], end[1]):
        return None
    return [last] if up == 1 else [Edge(filters=end[2], up=up), last]


def _returning_parts(
    taken: Sequence[str],
    blocks: Mapping[str, SlotEntry],
    ends: Mapping[str, tuple[Shape, Shape]],
    rng: np.random.Generator,
) -> dict[str, Block]:
    """The blocks, each behind one that keeps the shape, with the ways back to their input."""
    keeping = [name for name in taken if ends[name][0] == ends[name][1]]
    parts: dict[str, Block] = {}
    has_returned = False
    for place, name in enumerate(taken):
        shape, out = ends[name]
        if has_returned and keeping and out != shape:
            parts[f"{AROUND}{place}_before"] = blocks[keeping[int(rng.integers(len(keeping)))]].block
        parts[f"block{place}"] = blocks[name].block
        back = way_back(out, shape) or []
        parts |= {f"{AROUND}{place}_back{step}": block for step, block in enumerate(back)}
        has_returned = bool(back)
    return parts


def _alternating(names: Sequence[str], ends: Mapping[str, tuple[Shape, Shape]]) -> list[str]:
    """Blocks that keep their shape between the others, and these in the order of what they lead to."""
    keeping = [name for name in names if ends[name][0] == ends[name][1]]
    others = sorted((name for name in names if ends[name][0] != ends[name][1]), key=lambda name: ends[name][1])
    return [name for pair in zip_longest(keeping, others) for name in pair if name is not None]


def _lightest(
    blocks: Mapping[str, SlotEntry], ends: Mapping[str, tuple[Shape, Shape]], precision: str
) -> tuple[dict[Shape, str], dict[Shape, str]]:
    """The block of the fewest weights that gives each shape, and the one that takes it."""
    gives: dict[Shape, str] = {}
    takes: dict[Shape, str] = {}
    for name in sorted(ends, key=lambda name: (graph_weight_bytes(blocks[name].graph, precision), name)):
        gives.setdefault(ends[name][1], name)
        takes.setdefault(ends[name][0], name)
    return gives, takes


def _ends(blocks: Mapping[str, SlotEntry]) -> dict[str, tuple[Shape, Shape]]:
    """Input and output of every block that has one of each."""
    return {
        name: (entry.input_shapes[0], entry.graph.output_shapes[0])
        for name, entry in sorted(blocks.items())
        if len(entry.input_shapes) == 1 and len(entry.graph.output_shapes) == 1
    }
