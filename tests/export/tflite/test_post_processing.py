"""TFLite's operator behind a detector finds the boxes that our own decoding and suppression find."""

import numpy as np
import pytest

from edgenas.export.bundle.boxes import BOX_SCALES, decode_boxes, placed_anchors, select_boxes, sigmoid
from edgenas.export.runtime import find_runtime
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.post_processing import (
    FINISHED_OUTPUTS,
    NOTHING,
    OPERATOR,
    PostProcessing,
    with_post_processing,
)
from edgenas.export.tflite.reader import model_io, read_operators
from edgenas.spaces.blocks import BoxHead, ClassHead, ConvBnAct, PostProcess
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.spaces.signature import parse_signature
from edgenas.spaces.tensor import TensorSpec

CLASSES = 3
NODES = (
    Node("fine", ConvBnAct(8, stride=2), ("image",)),
    Node("coarse", ConvBnAct(8, stride=2), ("fine",)),
    Node("boxes", BoxHead(2), ("fine", "coarse")),
    Node("classes", ClassHead(2, classes=CLASSES), ("fine", "coarse")),
)
NETWORK = Network("small", (("image", TensorSpec((16, 16, 3))),), NODES, ("boxes", "classes"))
ANCHORS = placed_anchors([(8, 8), (4, 4)], [[(0.3, 0.3), (0.2, 0.5)], [(0.6, 0.6), (0.7, 0.3)]])


def run(content, image):
    interpreter = find_runtime().interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    if source["dtype"] == np.int8:
        scale, zero_point = source["quantization"]
        image = np.clip(np.rint(image / scale) + zero_point, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    found = []
    for result in interpreter.get_output_details():
        values = interpreter.get_tensor(result["index"])
        if result["dtype"] == np.int8:
            scale, zero_point = result["quantization"]
            values = (values.astype(np.float32) - zero_point) * np.float32(scale)
        found.append(values)
    return found


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(("overlap", "threshold", "most"), [(0.6, 0.01, 100), (0.3, 0.55, 10)])
def test_the_operator_equals_our_decoding_and_suppression(precision, overlap, threshold, most):
    raw = write_tflite(NETWORK.graph, precision)
    whole = with_post_processing(raw, PostProcessing(ANCHORS, overlap, threshold, most, BOX_SCALES))
    assert [end.shape for end in model_io(whole).outputs] == [(1, most, 4), (1, most), (1, most), (1,)]
    assert [end.name for end in model_io(whole).outputs] == list(FINISHED_OUTPUTS)
    kinds = [operator.name for operator in read_operators(whole)]
    added = ["LOGISTIC", OPERATOR] if precision == "float32" else ["DEQUANTIZE", "DEQUANTIZE", "LOGISTIC", OPERATOR]
    assert sorted(kinds[-len(added) :]) == sorted(added)
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(8):
        image = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
        boxes, logits = run(raw, image)
        ours = select_boxes(decode_boxes(boxes[0], ANCHORS), sigmoid(logits[0]), overlap, threshold, most)
        theirs = run(whole, image)
        count = int(theirs[3][0])
        counts.append(count)
        assert count == len(ours[2])
        np.testing.assert_allclose(theirs[2][0, :count], ours[2], atol=1e-6)
        # Boxes of equal scores may come in another order.
        order = [np.lexsort((*np.round(b, 4).T, c, -np.round(s, 5))) for b, c, s in (ours, _first(theirs, count))]
        np.testing.assert_array_equal(theirs[1][0, :count][order[1]], ours[1][order[0]])
        np.testing.assert_allclose(theirs[0][0, :count][order[1]], ours[0][order[0]], atol=1e-5)
    assert max(counts) > 3


def _first(found, count):
    return found[0][0, :count], found[1][0, :count], found[2][0, :count]


def test_wrong_outputs_are_refused():
    raw = write_tflite(NETWORK.graph, "float32")
    with pytest.raises(InputError, match=r"of 10 anchors takes outputs of \(1, 10, 4\).*the model has \(1, 160, 4\)"):
        with_post_processing(raw, PostProcessing(ANCHORS[:10], 0.6, 0.01, 100, BOX_SCALES))
    one = write_tflite(ConvBnAct(8).lower((4, 4, 3)), "float32")
    with pytest.raises(InputError, match="takes outputs of"):
        with_post_processing(one, PostProcessing(ANCHORS, 0.6, 0.01, 100, BOX_SCALES))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_table_measures_the_operators_that_a_file_gets(precision):
    raw = write_tflite(NETWORK.graph, precision)
    whole = with_post_processing(raw, PostProcessing(ANCHORS, 0.6, NOTHING, 100, BOX_SCALES))
    entry = SlotEntry(PostProcess(), tuple(NETWORK.graph.output_shapes))
    signature = entry.signature(precision)
    assert signature == f"detection_post_process()@160x4+160x3/{precision}"
    assert parse_signature(signature)[0].signature(precision) == signature
    alone = write_tflite(entry.deployed, precision)
    added = read_operators(whole)[len(read_operators(raw)) :]
    assert [operator.name for operator in read_operators(alone)] == [operator.name for operator in added]
    assert [[end.shape for end in one.inputs if end] for one in read_operators(alone)] == [
        [end.shape for end in one.inputs if end] for one in added
    ]
    interpreter = find_runtime().interpreter(model_content=alone, num_threads=1)
    interpreter.allocate_tensors()
    for source in interpreter.get_input_details():
        interpreter.set_tensor(source["index"], np.zeros(source["shape"], source["dtype"]))
    interpreter.invoke()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, 100, 4]
    assert entry.graph.nodes[0].op.weight_bytes(precision, *entry.input_shapes) == ANCHORS.nbytes


def test_the_operator_takes_boxes_and_classes_of_the_same_anchors():
    for shapes in (((8, 4), (9, 3)), ((8, 5), (8, 3)), ((8, 4), (8,))):
        with pytest.raises(InputError, match="DetectionPostProcess takes"):
            PostProcess().lower(*shapes)
    with pytest.raises(InputError, match="most_boxes"):
        PostProcess(0)
