"""What every block must do, as tests that a third party runs on its own block.

class TestMyBlock(BlockConformance):
    blocks = [(MyBlock(filters=16), ((8, 8, 16),)), ...]
    bad_options = [{"filters": 0}, ...]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from edgenas.spaces.block import PRECISIONS, Block, block_from_dict, signature
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Shape


class BlockConformance:
    """Subclass it with ``blocks`` (block, input shapes) and ``bad_options`` (fields that must be refused)."""

    blocks: ClassVar[Sequence[tuple[Block, tuple[Shape, ...]]]] = ()
    #: Replacements for fields of the first block, each of which must raise InputError when built or lowered.
    bad_options: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def test_has_examples(self) -> None:
        assert self.blocks, "give at least one block with input shapes"
        assert self.bad_options, "give at least one set of options that must be refused"

    def test_lowering_is_deterministic(self) -> None:
        for block, shapes in self.blocks:
            assert block.lower(*shapes) == block.lower(*shapes), block

    def test_lowers_to_one_output_of_positive_size(self) -> None:
        for block, shapes in self.blocks:
            graph = block.lower(*shapes)
            assert [shape for _, shape in graph.inputs] == list(shapes), f"{block}: inputs are not the given shapes"
            assert len(graph.output_shapes) == 1, f"{block} has {len(graph.output_shapes)} outputs"
            assert all(side > 0 for side in graph.output_shapes[0]), block

    def test_plain_data_reads_back(self) -> None:
        for block, _ in self.blocks:
            assert block_from_dict(block.to_dict()) == block

    def test_is_hashable_and_frozen(self) -> None:
        for block, _ in self.blocks:
            assert hash(block) == hash(block_from_dict(block.to_dict()))
            names = [field.name for field in dataclasses.fields(block)]
            try:
                setattr(block, (names or ["kind"])[0], None)
            except dataclasses.FrozenInstanceError:
                continue
            raise AssertionError(f"{type(block).__name__} is not frozen")

    def test_canonical_form_is_stable_and_costs_the_same(self) -> None:
        for block, shapes in self.blocks:
            canonical = block.canonical(*shapes)
            assert canonical.canonical(*shapes) == canonical, f"{block}: canonical form of the canonical form differs"
            ours, theirs = block.lower(*shapes), canonical.lower(*shapes)
            assert (ours.macs, ours.params) == (theirs.macs, theirs.params), f"{block} and {canonical} cost differently"
            assert ours.output_shapes == theirs.output_shapes, f"{block} and {canonical} have other output shapes"

    def test_signature_is_stable_and_readable(self) -> None:
        for block, shapes in self.blocks:
            for precision in PRECISIONS:
                text = signature(block, shapes, precision)
                assert text == signature(block_from_dict(block.to_dict()), shapes, precision)
                assert text == signature(block.canonical(*shapes), shapes, precision)
                assert text.endswith(f"/{precision}")
                assert "\n" not in text
                assert "," not in text, "signatures are keys of a comma-separated table"

    def test_equal_signatures_cost_the_same(self) -> None:
        costs: dict[str, tuple[int, int]] = {}
        for block, shapes in self.blocks:
            graph = block.lower(*shapes)
            cost = (graph.macs, graph.params)
            assert costs.setdefault(signature(block, shapes, "int8"), cost) == cost, block

    def test_bad_options_are_refused(self) -> None:
        block, shapes = self.blocks[0]
        for options in self.bad_options:
            try:
                block_from_dict({**block.to_dict(), **options}).lower(*shapes)
            except InputError:
                continue
            raise AssertionError(f"{type(block).__name__} accepts {dict(options)}")

    def test_unknown_option_is_refused(self) -> None:
        block, _ = self.blocks[0]
        try:
            block_from_dict({**block.to_dict(), "no_such_option": 1})
        except InputError:
            return
        raise AssertionError(f"{type(block).__name__} accepts an unknown option")
