"""A network drawn stage by stage, as inline SVG.

Each stage (blocks with the same output shape) is one small SVG; side by side they read as one picture. On a narrow page
they stand in several rows of about the same length: for each of three widths of the page, the markup says where rows
begin, and the style sheet picks. A box is as tall as its resolution and as wide as its filters (both on a log
scale), coloured by family; an arc is a skip connection. What is drawn comes from the ops a block lowers to, so a
block family that is added later is drawn as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from edgenas.report.palette import family
from edgenas.report.rows import row_starts
from edgenas.report.text import TIMES, count, escape, milliseconds, percent, sides
from edgenas.spaces import Network, Node
from edgenas.spaces.block import Block
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.ops import Add, Convolution, Multiply, Shape

_COLUMN = 76
#: Least width, in px, of the place for the picture on a wide page, a narrow or printed one, and a phone: style.css.
_PLACES = {"wide": 960, "medium": 560, "narrow": 300}
#: A row may be so much smaller or larger than drawn.
_LEAST_SCALE, _LARGEST_SCALE = 0.84, 1.3
#: Room for the name of an input, in columns; and most blocks that are drawn side by side without a possible break.
_INPUT, _MOST_BLOCKS = 0.8, 4
_AXIS, _TALLEST, _SHORTEST = 88, 108, 34
_WIDEST, _NARROWEST = 0.78, 0.4  # of the column
_LABELS = 164
_BARS = 216
_HEIGHT = 242


@dataclass(frozen=True)
class _Drawn:
    """A block with what its picture says."""

    node: Node
    block: Block
    input_shapes: tuple[Shape, ...]
    shape: Shape
    params: int
    macs: int
    macs_share: float
    latency_ms: float | None
    latency_share: float | None
    has_skip: bool
    groups: int
    gated: bool
    follows: bool
    """Whether its only input is the block drawn before it."""


def draw_network(network: Network, latency_ms: Mapping[str, float]) -> str:
    """HTML of the network's stages; ``latency_ms`` by node name gives the latency shares and may be empty."""
    blocks = list(_drawn(network, latency_ms))
    scale = _Scale(network, blocks)
    stages = [list(group) for _, group in groupby(blocks, key=lambda drawn: drawn.shape)]
    cards = [(_INPUT, _input(name, shape)) for name, shape in network.inputs]
    for index, stage in enumerate(stages):
        for start in range(0, len(stage), _MOST_BLOCKS):
            part = stage[start : start + _MOST_BLOCKS]
            cards.append((len(part), _stage(index, stage, part, scale)))
    return f'<div class="strip"><div class="network">{_in_rows(cards)}</div></div>{_legend(blocks)}'


def _in_rows(cards: list[tuple[float, str]]) -> str:
    """The cards, and between them where a row begins on a page of each width."""
    breaks: dict[int, list[str]] = {}
    for place, width in _PLACES.items():
        for start in row_starts([columns for columns, _ in cards], width / (_LEAST_SCALE * _COLUMN)):
            breaks.setdefault(start, []).append(place)
    parts = []
    for number, (columns, card) in enumerate(cards):
        parts += [f'<i class="row {place}"></i>' for place in breaks.get(number, ())]
        least, most = _LEAST_SCALE * _COLUMN * columns, _LARGEST_SCALE * _COLUMN * columns
        parts.append(
            f'<figure class="stage" style="flex:{columns:g} 1 {least:.0f}px;max-width:{most:.0f}px">{card}</figure>'
        )
    return "".join(parts)


def _drawn(network: Network, latency_ms: Mapping[str, float]) -> Iterator[_Drawn]:
    total_macs = max(1, network.macs)
    total_ms = sum(latency_ms.get(node.name, 0.0) for node in network.nodes)
    previous = network.inputs[0][0]
    for node in network.nodes:
        graph = network.blocks_lowered[node.name]
        ops = [op_node.op for op_node in graph.nodes]
        node_ms = latency_ms.get(node.name)
        yield _Drawn(
            node=node,
            block=node.block,
            input_shapes=network.input_shapes(node),
            shape=network.shapes[node.name],
            params=graph.params,
            macs=graph.macs,
            macs_share=graph.macs / total_macs,
            latency_ms=node_ms,
            latency_share=None if node_ms is None or total_ms <= 0 else node_ms / total_ms,
            has_skip=_adds_its_input(graph),
            groups=max([op.groups for op in ops if isinstance(op, Convolution)], default=1),
            gated=any(isinstance(op, Multiply) for op in ops),
            follows=node.inputs == (previous,),
        )
        previous = node.name


def _adds_its_input(graph: OpGraph) -> bool:
    names = {name for name, _ in graph.inputs}
    return any(isinstance(node.op, Add) and names & set(node.inputs) for node in graph.nodes)


class _Scale:
    """Sizes of boxes and bars, relative to the largest in the network."""

    def __init__(self, network: Network, blocks: list[_Drawn]) -> None:
        shapes = [drawn.shape for drawn in blocks] + [shape for _, shape in network.inputs]
        self._tallest = math.log2(1 + max(_resolution(shape) for shape in shapes))
        widths = [math.log2(shape[-1]) for shape in shapes]
        self._narrowest, self._spread = min(widths), max(1.0, max(widths) - min(widths))
        self.largest_share = max(
            [drawn.macs_share for drawn in blocks] + [drawn.latency_share or 0 for drawn in blocks] + [1e-9]
        )

    def height(self, shape: Shape) -> float:
        ratio = math.log2(1 + _resolution(shape)) / self._tallest
        return _SHORTEST + (_TALLEST - _SHORTEST) * max(0.0, ratio - 0.2) / 0.8

    def width(self, shape: Shape) -> float:
        ratio = (math.log2(shape[-1]) - self._narrowest) / self._spread
        return _COLUMN * (_NARROWEST + (_WIDEST - _NARROWEST) * ratio)


def _resolution(shape: Shape) -> int:
    return shape[0] if len(shape) == 3 else 1


def _shape_text(shape: Shape) -> str:
    return sides(shape[:2]) if len(shape) == 3 else "vector"


def _input(name: str, shape: Shape) -> str:
    return (
        f"<figcaption><b>{_shape_text(shape)}</b><span>{shape[-1]} wide</span><span>{escape(name)}</span></figcaption>"
    )


def _stage(index: int, stage: list[_Drawn], part: list[_Drawn], scale: _Scale) -> str:
    """Some blocks of a stage, below what is said of the whole stage."""
    shape = stage[0].shape
    known = [drawn.latency_share for drawn in stage if drawn.latency_share is not None]
    if part[0] is stage[0]:
        shares = f'<small class="macs">{percent(sum(drawn.macs_share for drawn in stage), 0)}</small>'
        if known:
            shares += f'<small class="latency">{percent(sum(known), 0)}</small>'
        caption = f"<b>{_shape_text(shape)}</b><span>{shape[-1]} wide</span>{shares}"
    else:
        caption = f"<b>{_shape_text(shape)}</b><span>goes on</span>"
    boxes = "".join(_box(drawn, place, scale) for place, drawn in enumerate(part))
    width = _COLUMN * len(part)
    title = f"Stage {index + 1}: {len(stage)} block{'s' * (len(stage) > 1)} with output {sides(shape)}"
    return (
        f"<figcaption>{caption}</figcaption>"
        f'<svg viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{escape(title)}">{boxes}</svg>'
    )


def _box(drawn: _Drawn, place: int, scale: _Scale) -> str:
    look = family(drawn.block.kind)
    centre = (place + 0.5) * _COLUMN
    height, width = scale.height(drawn.shape), scale.width(drawn.shape)
    left, right, top = centre - width / 2, centre + width / 2, _AXIS - height / 2
    parts = [
        f"<title>{escape(_tooltip(drawn))}</title>",
        f'<path class="wire" d="M{place * _COLUMN} {_AXIS}H{left:.1f}M{right:.1f} {_AXIS}H{(place + 1) * _COLUMN}"/>',
        _arc(left, right, top) if drawn.has_skip else "",
        f'<rect class="block" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" '
        f'style="--family:{look.colour}"/>',
        _line(centre, _AXIS + 4, _kernels(drawn.block), "kernel"),
        _line(centre, _LABELS, look.label, "family"),
        _line(centre, _LABELS + 15, _widths(drawn), "widths"),
        *(_line(centre, _LABELS + 29 + 12 * row, text, "extras") for row, text in enumerate(_extras(drawn))),
        _bar(centre, _BARS, drawn.macs_share, scale, "macs"),
        _bar(centre, _BARS + 12, drawn.latency_share, scale, "latency"),
    ]
    return f'<g class="{"" if drawn.follows else "branch"}">{"".join(parts)}</g>'


def _arc(left: float, right: float, top: float) -> str:
    start, end, peak = left - 5, right + 5, top - 16
    return (
        f'<path class="skip" d="M{start:.1f} {_AXIS}V{peak + 8:.1f}Q{start:.1f} {peak:.1f} {start + 8:.1f} {peak:.1f}'
        f'H{end - 8:.1f}Q{end:.1f} {peak:.1f} {end:.1f} {peak + 8:.1f}V{_AXIS - 5}"/>'
        f'<circle class="sum" cx="{end:.1f}" cy="{_AXIS}" r="3.6"/>'
    )


def _line(centre: float, baseline: float, text: str, role: str) -> str:
    return f'<text class="{role}" x="{centre:.1f}" y="{baseline}">{escape(text)}</text>' if text else ""


def _bar(centre: float, top: float, share: float | None, scale: _Scale, role: str) -> str:
    if share is None:
        return ""
    left, full = centre - _COLUMN / 2 + 5, _COLUMN - 38
    filled = max(1.0, full * share / scale.largest_share)
    return (
        f'<rect class="track" x="{left:.1f}" y="{top}" width="{full}" height="7" rx="2"/>'
        f'<rect class="{role}" x="{left:.1f}" y="{top}" width="{filled:.1f}" height="7" '
        f'rx="2"/><text class="share" x="{centre + _COLUMN / 2 - 4:.1f}" y="{top + 7}">{percent(share, 0)}</text>'
    )


def _kernels(block: Block) -> str:
    """``3x3``, or ``5+3`` for a block with two that are searched; what is 0 is not there."""
    kernels = [kernel for name in ("start_kernel", "kernel") if (kernel := getattr(block, name, 0))]
    return "+".join(map(str, kernels)) if len(kernels) > 1 else sides((*kernels, *kernels)) if kernels else ""


def _widths(drawn: _Drawn) -> str:
    expansion = getattr(drawn.block, "expansion", None)
    if expansion is not None:
        return f"{TIMES}{expansion:g} → {drawn.shape[-1]}"
    hidden = getattr(drawn.block, "hidden", 0)
    return f"{hidden} → {drawn.shape[-1]}" if hidden else f"→ {drawn.shape[-1]}"


def _extras(drawn: _Drawn) -> list[str]:
    """At most two lines: resolution and gate, then groups and where it reads from."""
    stride = getattr(drawn.block, "stride", 1)
    lines = (
        [f"stride {stride}" if stride != 1 else "", "SE" if drawn.gated else ""],
        [
            f"{drawn.groups} groups" if drawn.groups > 1 else "",
            "" if drawn.follows else "reads " + ", ".join(drawn.node.inputs),
        ],
    )
    texts = [" · ".join(mark for mark in marks if mark) for marks in lines]
    return [text for text in texts if text]


def _tooltip(drawn: _Drawn) -> str:
    shapes = " + ".join(sides(shape) for shape in drawn.input_shapes)
    lines = [
        f"{drawn.node.name}: {drawn.block.describe()}",
        f"{shapes} → {sides(drawn.shape)}",
        f"{count(drawn.macs)} MACs ({percent(drawn.macs_share)}), {count(drawn.params)} parameters",
    ]
    if drawn.latency_ms is not None:
        lines.append(f"{milliseconds(drawn.latency_ms)} predicted ({percent(drawn.latency_share)})")
    return "\n".join(lines)


def _legend(blocks: list[_Drawn]) -> str:
    looks = dict.fromkeys(family(drawn.block.kind) for drawn in blocks)
    keys = [f'<span><i class="swatch" style="--family:{look.colour}"></i>{escape(look.label)}</span>' for look in looks]
    keys += ['<span><i class="line macs"></i>share of MACs</span>']
    if any(drawn.latency_share is not None for drawn in blocks):
        keys += ['<span><i class="line latency"></i>share of predicted latency</span>']
    if any(drawn.has_skip for drawn in blocks):
        keys += ['<span><i class="arc"></i>skip connection</span>']
    return f'<p class="legend">{"".join(keys)}</p>'
