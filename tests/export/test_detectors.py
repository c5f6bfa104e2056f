"""Detectors are built, written, read and converted as other networks are."""

from collections import Counter

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import convert
from edgenas.export.runtime import find_runtime
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.operator_list import list_operators
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.spaces import SearchSpace
from edgenas.spaces.blocks import (
    BoxHead,
    ClassHead,
    Concat,
    ConvBnAct,
    CroppedSum,
    Edge,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
    Separable,
    Tucker,
)
from edgenas.spaces.network import Network, Node
from edgenas.spaces.tensor import TensorSpec

NODES = (
    Node("stem", ConvBnAct(8, 3, 2, "relu6"), ("image",)),
    Node("fused", GroupConvInvertedBottleneck(16, stride=2, expansion=2, activation="relu6", groups=4), ("stem",)),
    Node("low_rank", Tucker(16, output_ratio=0.5, activation="relu6"), ("fused",)),
    Node("half", InvertedBottleneck(8, 3, 2, 2, "relu6", expansion_of="output"), ("low_rank",)),
    Node("quarter", Separable(8, 5, 2, norm="between"), ("half",)),
    Node("last", Separable(8), ("quarter",)),
    Node("up", Edge(16, up=2), ("last",)),
    Node("same", Edge(16), ("half",)),
    Node("down", Edge(16, down=2), ("low_rank",)),
    Node("sum", CroppedSum(), ("up", "same", "down")),
    Node("end", Separable(16, skip=False), ("sum",)),
)
SHAPE = (20, 24, 3)


def detector(*heads):
    return Network("detector", (("image", TensorSpec(SHAPE)),), (*NODES, *heads), ("boxes", "classes"))


DETECTORS = {
    "a head of all levels": detector(
        Node("boxes", BoxHead(4, 2), ("end", "last")), Node("classes", ClassHead(4, 2, classes=3), ("end", "last"))
    ),
    "a head for each level": detector(
        Node("box1", BoxHead(2), ("end",)),
        Node("box2", BoxHead(4), ("last",)),
        Node("class1", ClassHead(2, classes=3), ("end",)),
        Node("class2", ClassHead(4, classes=3), ("last",)),
        Node("boxes", Concat(0), ("box1", "box2")),
        Node("classes", Concat(0), ("class1", "class2")),
    ),
    "one predictor for all levels": detector(
        Node("boxes", BoxHead(4, shared=True), ("end", "up")),
        Node("classes", ClassHead(4, separable=False, shared=True, classes=3), ("end", "up")),
    ),
}


def trained_like(network):
    """A Keras model whose statistics are not those that a converter leaves out, and images."""
    rng = np.random.default_rng(3)
    model = build_keras(network, seed=1)
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "gamma", "moving_mean")):
            variable.assign(rng.normal(0.5, 0.2, variable.shape))
    return model, rng.normal(size=(8, *dict(network.inputs)["image"])).astype(np.float32)


def run(content, image):
    """The outputs in their order, dequantized."""
    interpreter = find_runtime().interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    return [interpreter.get_tensor(result["index"]) for result in interpreter.get_output_details()]


def check(network):
    model, images = trained_like(network)
    shapes = [(1, *network.shapes[name]) for name in network.outputs]
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == network.params
    for precision in ("float32", "int8"):
        ours = write_tflite(network.graph, precision)
        theirs = convert(model, quantization=precision, calibration=images)
        assert [end.shape for end in model_io(theirs).outputs] == shapes
        assert [end.shape for end in model_io(ours).outputs] == shapes
        kinds = [Counter(operator.name for operator in read_operators(file)) for file in (ours, theirs)]
        assert kinds[0] == kinds[1]
        parts = (list_operators(entry.deployed, precision) for entry in network.running.values())
        assert kinds[0] == Counter(operator.name for part in parts for operator in part)
        if precision == "int8":
            assert check_integer(theirs) == check_integer(ours) == []
            lists = [o for o in read_operators(theirs) if o.name == "CONCATENATION" and len(o.output_shapes[0]) == 3]
            assert all(source.scale == o.outputs[0].scale for o in lists for source in o.inputs if source is not None)
        else:
            found = run(theirs, images[:1])
            for wanted, output in zip(model(images[:1]), found, strict=True):
                np.testing.assert_allclose(output, np.asarray(wanted), atol=2e-4)


@pytest.mark.parametrize("kind", DETECTORS)
def test_built_written_and_converted(kind):
    check(DETECTORS[kind])


def test_a_shared_predictor_is_stored_once():
    model, _ = trained_like(DETECTORS["one predictor for all levels"])
    kernels = [v.path for v in model.trainable_variables if "classes.level" in v.path and v.path.endswith("kernel")]
    assert len(kernels) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spaghetti", "ssd_mobile"])
def test_detectors_of_the_catalog(name):
    space = SearchSpace.load(name, input_shape=(160, 160, 3), classes=3)
    for row in space.sample(np.random.default_rng(1), 2):
        check(space.decode(row))
