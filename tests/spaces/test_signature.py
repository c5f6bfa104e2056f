"""Signatures read back into the blocks that they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.spaces.block import PRECISIONS, format_value, signature
from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
    Pooling,
)
from edgenas.spaces.errors import InputError
from edgenas.spaces.signature import parse_signature, parse_value
from edgenas.spaces.space.search_space import SearchSpace

shared = {
    "filters": st.sampled_from([8, 16, 24, 96]),
    "kernel": st.sampled_from([1, 3, 5, 7]),
    "stride": st.integers(1, 3),
    "activation": st.sampled_from(["linear", "relu", "relu6", "hard_swish", "swish"]),
}
bottleneck = {
    **shared,
    "expansion": st.sampled_from([1, 1.0001, 2, 2.5, 4.0, 184 / 80, 6]),
    "se_ratio": st.sampled_from([0.0, 0.25, 1 / 3, 1e-5]),
    "se_gate": st.sampled_from(["sigmoid", "hard_sigmoid"]),
    "skip": st.booleans(),
}
blocks = st.one_of(
    st.builds(ConvBnAct, **shared),
    st.builds(Pooling, pooling=st.sampled_from(["average", "max"]), kernel=st.integers(1, 4), stride=st.integers(1, 3)),
    st.builds(ClassifierHead, classes=st.integers(1, 1000), hidden=st.integers(0, 64), dropout=st.floats(0, 0.9)),
    st.builds(InvertedBottleneck, **bottleneck),
    st.builds(FusedInvertedBottleneck, **bottleneck),
    st.builds(GroupConvInvertedBottleneck, **bottleneck, groups=st.sampled_from([1, 2, 4, 8])),
)
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([8, 16, 24]))


@given(blocks, shapes, st.sampled_from(PRECISIONS))
def test_reads_back_what_it_stands_for(block, shape, precision):
    try:
        text = signature(block, (shape,), precision)
    except InputError:  # groups that do not divide
        return
    entry, found = parse_signature(text)
    assert found == precision
    assert entry.signature(precision) == text
    assert entry.block.canonical(shape) == parse_signature(text)[0].canonical
    ours, theirs = block.lower(shape), entry.graph
    assert (ours.macs, ours.params, ours.output_shapes) == (theirs.macs, theirs.params, theirs.output_shapes)


@pytest.mark.parametrize("name", ["tiny_edge", "mobilenet_v2", "mobilenet_edgetpu_v2", "nas_bench_201"])
def test_every_signature_of_the_catalog_reads_back(name):
    for text, entry in SearchSpace.load(name).signatures("int8").items():
        read, precision = parse_signature(text)
        assert (precision, read.input_shapes, read.given) == ("int8", entry.input_shapes, entry.given)
        assert read.canonical.describe(cost_only=True) == entry.canonical.describe(cost_only=True)


@pytest.mark.parametrize(
    "text",
    [
        *("", "conv", "conv()", "conv(filters=16)@28x28x1", "conv(filters=16)@28x28x1/int4", "@28x28x1/int8"),
        "conv(filters=16)@28x28/int8",
        "conv(filters=16)@0x28x1/int8",
        "conv(filters=0)@28x28x1/int8",
        "conv(filters=16 filters=16)@28x28x1/int8",
        "conv(filters)@28x28x1/int8",
        "conv(filters=16 colour=red)@28x28x1/int8",
        "no_such_block(filters=16)@28x28x1/int8",
        "gc_ibn(filters=16 groups=3)@28x28x8/int8",
        "conv(filters=16)@28x28x1+28x28x1/int8",
        "conv(filters=16)@x/int8",
        "conv(filters=16)@28x28x1/int8\n",
        "conv(filters=16)@28x28x1/int8 without",
        "conv(filters=16)@28x28x1/int8 without main_relu",
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="signature"):
        parse_signature(text)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text):
    with pytest.raises(InputError):
        parse_signature(text)


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(["relu6", "max"]))
)
def test_values_read_back(value):
    found = parse_value(format_value(value))
    assert (type(found), found) == (type(value), value)
