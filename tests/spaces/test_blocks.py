"""What holds of every block, and what the conformance suite itself must notice."""

import pytest

from edgenas.spaces.block import Block, block_class, block_kinds, register_block, signature
from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    Identity,
)
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.errors import InputError
from tests.spaces import test_whole_network
from tests.spaces.blocks import (
    test_bottleneck_blocks,
    test_convolution_blocks,
    test_merge_blocks,
    test_sequence_blocks,
    test_task_blocks,
)

FAMILIES = (
    test_bottleneck_blocks,
    test_convolution_blocks,
    test_merge_blocks,
    test_sequence_blocks,
    test_task_blocks,
    test_whole_network,
)


def test_every_registered_block_is_tested():
    suites = [
        suite for family in FAMILIES for name, suite in vars(family).items() if name.startswith("Test") and suite.blocks
    ]
    tested = {type(block) for suite in suites for block, _ in suite.blocks}
    ours = {cls for cls in map(block_class, block_kinds()) if cls.__module__.startswith("edgenas.spaces.")}
    assert ours
    assert ours <= tested


def test_blocks_that_build_the_same_have_one_signature():
    shapes = ((8, 8, 16),)
    fused = signature(FusedInvertedBottleneck(filters=24, expansion=4), shapes, "int8")
    assert signature(GroupConvInvertedBottleneck(filters=24, expansion=4, groups=1), shapes, "int8") == fused
    assert signature(FusedInvertedBottleneck(filters=24, expansion=4.0, skip=False), shapes, "int8") == fused
    assert signature(FusedInvertedBottleneck(filters=16, expansion=4), shapes, "int8") != signature(
        FusedInvertedBottleneck(filters=16, expansion=4, skip=False), shapes, "int8"
    )
    dropout = {signature(ClassifierHead(10, dropout=rate), shapes, "int8") for rate in (0.0, 0.5)}
    assert len(dropout) == 1


def test_a_name_is_taken_once():
    with pytest.raises(InputError, match="already registered"):

        @register_block("ibn")
        class Other(Block):
            def lower(self, *input_shapes):
                raise NotImplementedError


class _Wrong(ConvBnAct):
    """Its canonical form is cheaper than itself."""

    def canonical(self, *input_shapes):
        return ConvBnAct(filters=8)


@pytest.mark.parametrize("name", ["kind", "block", "lower", "input_count", "when"])
def test_fields_may_not_hide_what_every_block_has(name: str) -> None:
    with pytest.raises(InputError, match=rf"block class Hiding has a field '{name}'.*call the field something else"):
        type("Hiding", (Identity,), {"__annotations__": {name: "str"}})


def test_the_suite_notices_a_canonical_form_that_costs_less():
    class Suite(BlockConformance):
        blocks = ((_Wrong(filters=16), ((8, 8, 16),)),)
        bad_options = ({"filters": 16},)

    try:
        with pytest.raises(AssertionError, match="cost differently"):
            Suite().test_canonical_form_is_stable_and_costs_the_same()
        with pytest.raises(AssertionError, match="accepts"):
            Suite().test_bad_options_are_refused()
    finally:
        Suite.blocks = ()
