"""``edgenas check --space S --target T``: what a target takes of a space's networks, at every size of their input.

An NPU may take all of a network at 96 pixels and half of it at 320: a limit on sides is passed, or its memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.cli.output import memory_words, print_json, print_table
from edgenas.cli.space_options import load_space
from edgenas.spaces.errors import EdgeNASError
from edgenas.spaces.ops import format_shape

if TYPE_CHECKING:
    from edgenas.export.targets.report import TargetReport

Check = Callable[[bytes, str], "TargetReport"]
NETWORKS = 5


def print_coverage(
    check: Check, space: str, target: str, sizes: Sequence[str], networks: int, seed: int, as_json: bool
) -> None:
    """Prints a row for each size of the input. Raises InputError for a space, size or target that is none."""
    shapes: list[str | None] = list(sizes) or [None]
    rows = [coverage(check, space, target, shape, networks, seed) for shape in shapes]
    if as_json:
        print_json({"space": space, "target": target, "networks": networks, "seed": seed, "sizes": rows})
        return
    print_table(
        ("input", "networks wholly taken", "operators taken", "share", "largest memory"),
        [
            (
                row["input_shape"],
                f"{row['whole']} of {networks}",
                f"{row['mapped']:,} of {row['operators']:,}",
                f"{row['mapped'] / max(1, row['operators']):.0%}",
                memory_words({name: size for name, size in row["memory"].items() if size is not None}),
            )
            for row in rows
        ],
        title=f"{networks} random networks of {space} on {target}",
    )
    for row in rows:
        for left in row["left"]:
            print(
                f"- {row['input_shape']}: {left['op']} in {left['networks']} of {networks} networks: {left['reason']}"
            )


def coverage(check: Check, space: str, target: str, shape: str | None, networks: int, seed: int) -> dict[str, Any]:
    """How much of random int8 networks a target takes at one size of the input, and why not the rest."""
    from edgenas.export.tflite.flatbuffer import write_tflite

    loaded = load_space(space, shape)
    mapped = operators = whole = 0
    memory: dict[str, int | None] = {}
    left: Counter[tuple[str, str]] = Counter()
    for row in loaded.sample(np.random.default_rng(seed), networks):
        network = loaded.decode(row)
        try:
            report = check(write_tflite(network.graph, "int8"), target)
        except EdgeNASError as error:
            raise type(error)(
                f"{loaded.name}:{loaded.architecture(row)} at {shape or 'its own size'}: {error}"
            ) from None
        mapped, operators = mapped + report.mapped, operators + len(report.operators)
        whole += report.mapped == len(report.operators)
        left.update({(one.op, one.reason) for one in report.operators if not one.mapped})
        for name, size in report.memory.items():
            known = memory.get(name)
            memory[name] = size if known is None or (size is not None and size > known) else known
    return {
        "input_shape": "+".join(format_shape(spec) for _, spec in network.inputs),
        "operators": operators,
        "mapped": mapped,
        "whole": whole,
        "memory": memory,
        "left": [{"op": op, "reason": reason, "networks": count} for (op, reason), count in left.most_common()],
    }
