"""TFLite's operator that turns a detector's encodings and logits into boxes, put behind a finished file.

``TFLite_Detection_PostProcess`` decodes boxes against its anchors and keeps the best of each class (suppression class
by class: its *regular* form, and that of :mod:`edgenas.export.bundle.boxes`). It takes real numbers, so integer outputs
are dequantized first, and takes scores, so a sigmoid comes before it; of real numbers too, since the 1/256 that an
8-bit sigmoid tells apart is more than the scores of most boxes differ by. It runs on the CPU whatever runs the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.reader import model_io
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError

OPERATOR = "TFLite_Detection_PostProcess"
#: A threshold of scores that leaves nothing to suppress.
NOTHING = 0.9999
#: What it reads is called, in this order.
RAW_OUTPUTS = ("boxes", "classes")
#: What its outputs are called: boxes (1, n, 4), classes and scores (1, n), their number (1,).
FINISHED_OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")


@dataclass(frozen=True)
class PostProcessing:
    """What the operator is told. ``anchors`` (A, 4) are (y, x, h, w) as shares of the sides.

    Attributes:
        overlap: intersection over union above which the box of lower score is dropped, within its class.
        score_threshold: boxes of lower scores are dropped before.
        most_boxes: that are kept of an image, over all classes and in each.
        box_scales: what encodings of (y, x, h, w) are divided by.
    """

    anchors: np.ndarray
    overlap: float
    score_threshold: float
    most_boxes: int
    box_scales: tuple[float, float, float, float]

    def options(self, classes: int) -> bytes:
        """The operator's options, a flexbuffer map."""
        builder = flexbuffers.Builder()
        y, x, h, w = self.box_scales
        with builder.Map():
            builder.Int("max_detections", self.most_boxes)
            builder.Int("max_classes_per_detection", 1)
            builder.Int("detections_per_class", self.most_boxes)
            builder.Bool("use_regular_nms", True)
            builder.Float("nms_score_threshold", self.score_threshold)
            builder.Float("nms_iou_threshold", self.overlap)
            builder.Int("num_classes", classes)
            for name, value in (("y_scale", y), ("x_scale", x), ("h_scale", h), ("w_scale", w)):
                builder.Float(name, value)
        return bytes(builder.Finish())


def with_post_processing(model: bytes, settings: PostProcessing) -> bytes:
    """The file that goes on from its outputs ``boxes`` (1, A, 4) and ``classes`` (1, A, classes) to boxes.

    Raises InputError when these are not its outputs, or A is not the number of anchors.
    """
    outputs = model_io(model).outputs
    shapes = [output.shape for output in outputs]
    count = len(settings.anchors)
    if len(shapes) != 2 or shapes[0] != (1, count, 4) or shapes[1][:-1] != (1, count):
        raise InputError(
            f"{OPERATOR} of {count} anchors takes outputs of (1, {count}, 4) and (1, {count}, classes); the model has "
            f"{' and '.join(map(str, shapes))}"
        )
    return rewrite(model, lambda unpacked: _Behind(unpacked).add(settings, shapes[1][-1]))


def ends_in_boxes(model: bytes) -> bool:
    """Whether a file's outputs are those of the operator. Raises InputError on anything but a whole model."""
    names = tuple(output.name for output in model_io(model).outputs)
    return names == FINISHED_OUTPUTS


def without_post_processing(model: bytes) -> bytes:
    """The file up to the outputs that the operator was given behind; the same bytes where there is none.

    Raises InputError on anything but a whole model.
    """
    return rewrite(model, _cut) if ends_in_boxes(model) else model


def _cut(model: Any) -> None:
    graph, operators = model.subgraphs[0], schema().BuiltinOperator
    made = {int(output): operator for operator in graph.operators for output in operator.outputs}
    last = made[int(graph.outputs[0])]
    cut, ends = [last], []
    for source in last.inputs[:2]:
        tensor = int(source)
        while int(tensor) in made and _kind(model, made[tensor]) in (operators.DEQUANTIZE, operators.LOGISTIC):
            cut.append(made[tensor])
            tensor = int(made[tensor].inputs[0])
        ends.append(tensor)
    graph.operators = [operator for operator in graph.operators if not any(operator is one for one in cut)]
    graph.outputs = np.array(ends, np.int32)
    for signature in model.signatureDefs or ():
        signature.outputs = [
            schema().TensorMapT(name=name, tensorIndex=end) for name, end in zip(RAW_OUTPUTS, ends, strict=True)
        ]


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


class _Behind:
    """The object tree of a model, to which operators are added."""

    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.subgraphs[0]
        self._types = schema().TensorType

    def add(self, settings: PostProcessing, classes: int) -> None:
        boxes, logits = (int(index) for index in self._graph.outputs)
        boxes = self._real(boxes)
        scores = self._tensor("scores", (1, len(settings.anchors), classes))
        self._operator("LOGISTIC", [self._real(logits)], [scores])
        anchors = self._tensor("anchors", settings.anchors.shape, settings.anchors)
        most = settings.most_boxes
        shapes = ((1, most, 4), (1, most), (1, most), (1,))
        ends = [self._tensor(name, shape) for name, shape in zip(FINISHED_OUTPUTS, shapes, strict=True)]
        self._operator(None, [boxes, scores, anchors], ends, settings.options(classes))
        self._graph.outputs = np.array(ends, np.int32)
        for signature in self._model.signatureDefs or ():
            signature.outputs = [
                schema().TensorMapT(name=name, tensorIndex=end)
                for name, end in zip(FINISHED_OUTPUTS, ends, strict=True)
            ]

    def _real(self, tensor: int) -> int:
        """The tensor in real numbers."""
        source = self._graph.tensors[tensor]
        if source.type == self._types.FLOAT32:
            return tensor
        name = source.name.decode() if isinstance(source.name, bytes) else str(source.name)
        real = self._tensor(f"{name}/real", tuple(int(side) for side in source.shape))
        self._operator("DEQUANTIZE", [tensor], [real])
        return real

    def _tensor(self, name: str, shape: tuple[int, ...], data: np.ndarray | None = None) -> int:
        buffer = 0
        if data is not None:
            stored = np.frombuffer(np.ascontiguousarray(data, np.float32).tobytes(), np.uint8)
            self._model.buffers.append(schema().BufferT(data=stored))
            buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(
            schema().TensorT(
                name=name, shape=np.array(shape, np.int32), type=self._types.FLOAT32, buffer=buffer, hasRank=True
            )
        )
        return len(self._graph.tensors) - 1

    def _operator(
        self, kind: str | None, inputs: list[int], outputs: list[int], custom_options: bytes | None = None
    ) -> None:
        """A builtin operator of its first form, or without ``kind`` the custom one."""
        operator = schema().OperatorT(
            opcodeIndex=self._code(kind), inputs=np.array(inputs, np.int32), outputs=np.array(outputs, np.int32)
        )
        if custom_options is not None:
            operator.customOptions = np.frombuffer(custom_options, np.uint8)
        self._graph.operators.append(operator)

    def _code(self, kind: str | None) -> int:
        operators = schema().BuiltinOperator
        number = operators.CUSTOM if kind is None else getattr(operators, kind)
        version = 2 if kind == "DEQUANTIZE" else 1
        for index, code in enumerate(self._model.operatorCodes):
            if kind is not None and max(code.builtinCode, code.deprecatedBuiltinCode) == number:
                code.version = max(code.version, version)
                return index
        self._model.operatorCodes.append(
            schema().OperatorCodeT(
                builtinCode=number,
                deprecatedBuiltinCode=min(number, operators.PLACEHOLDER_FOR_GREATER_OP_CODES),
                version=version,
                customCode=OPERATOR if kind is None else None,
            )
        )
        return len(self._model.operatorCodes) - 1
