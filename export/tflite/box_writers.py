"""How the operator that makes boxes of a detector's outputs is written by itself, so that its cost can be measured.

What is shipped gets it behind a finished file, with its own anchors (:mod:`edgenas.export.tflite.post_processing`).
"""

from __future__ import annotations

import numpy as np

from edgenas.export.deployed import DeployedNode
from edgenas.export.quantization.activation_ranges import STANDARD_NORMAL
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.export.tflite.post_processing import NOTHING, OPERATOR, PostProcessing
from edgenas.spaces.ops import DetectionPostProcess

#: Of every anchor: (y, x, h, w) as shares of the sides.
_ANCHOR = (0.5, 0.5, 0.1, 0.1)


@op_writer(DetectionPostProcess)
def _write_post_process(writer: ModelWriter, node: DeployedNode) -> None:
    """Random scores are about 0.5, and suppressing all of these takes very long: none is above the threshold."""
    op = node.op
    assert isinstance(op, DetectionPostProcess)
    boxes, logits = (_real(writer, node, source) for source in node.inputs)
    count, classes = writer.graph.shapes[node.inputs[1]]
    scores = writer.add_temporary(f"{node.name}/scores", (count, classes), "float32")
    writer.add_operator("LOGISTIC", [logits], scores)
    given = np.tile(np.array(_ANCHOR, np.float32), (count, 1))
    anchors = writer.add_constant(f"{node.name}/anchors", given)
    outputs = [writer.add_activation(node.name, STANDARD_NORMAL)]
    outputs += [
        writer.add_temporary(f"{node.name}/{part}", (op.most_boxes,), "float32") for part in ("classes", "best")
    ]
    outputs.append(writer.add_temporary(f"{node.name}/number", (), "float32"))
    settings = PostProcessing(given, 0.6, NOTHING, op.most_boxes, (10.0, 10.0, 5.0, 5.0))
    writer.add_custom_operator(OPERATOR, [boxes, scores, anchors], outputs, settings.options(classes))


def _real(writer: ModelWriter, node: DeployedNode, source: str) -> int:
    """An input in real numbers, which is what the operator takes."""
    if not writer.is_int8:
        return writer.tensor(source)
    shape = tuple(writer.graph.shapes[source])
    real = writer.add_temporary(f"{node.name}/{source}/real", shape, "float32")
    writer.add_last_operator("DEQUANTIZE", [writer.tensor(source)], real, version=2, options="DequantizeOptions")
    return real
