"""Writes down a network as the operators of its int8 TFLite model: batch norms folded, activations fused, batch 1."""

from __future__ import annotations

import math

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor

Sides = int | tuple[int, int]


class OperatorList:
    """Appends operators; every method takes and returns tensors."""

    def __init__(self, height: int, width: int, channels: int = 3) -> None:
        self.operators: list[TfliteOperator] = []
        self._tensors = 0
        self.image = self._tensor((1, height, width, channels))

    def conv(
        self,
        source: TfliteTensor,
        filters: int,
        kernel: Sides = 1,
        stride: int = 1,
        *,
        padding: str = "same",
        dilation: int = 1,
    ) -> TfliteTensor:
        height, width = _pair(kernel)
        shape = (1, *_out(source, (height, width), stride, padding, dilation), filters)
        weights = self._constant((filters, height, width, source.shape[3]))
        return self._add("CONV_2D", [source, weights, self._constant((filters,), "INT32")], shape, dilation=dilation)

    def depthwise(self, source: TfliteTensor, kernel: int = 3, stride: int = 1, *, dilation: int = 1) -> TfliteTensor:
        channels = source.shape[3]
        shape = (1, *_out(source, (kernel, kernel), stride, "same", dilation), channels)
        weights = self._constant((1, kernel, kernel, channels))
        bias = self._constant((channels,), "INT32")
        return self._add("DEPTHWISE_CONV_2D", [source, weights, bias], shape, dilation=dilation)

    def transposed(self, source: TfliteTensor, filters: int, kernel: int = 3, stride: int = 2) -> TfliteTensor:
        weights = self._constant((filters, kernel, kernel, source.shape[3]))
        shape = (1, source.shape[1] * stride, source.shape[2] * stride, filters)
        return self._add("TRANSPOSE_CONV", [self._constant((4,), "INT32"), weights, source], shape)

    def pool(
        self, source: TfliteTensor, kernel: int, stride: int, *, kind: str = "MAX", padding: str = "same"
    ) -> TfliteTensor:
        shape = (1, *_out(source, (kernel, kernel), stride, padding, 1), source.shape[3])
        return self._add(f"{kind}_POOL_2D", [source], shape, kernel=kernel)

    def mean(self, source: TfliteTensor, *, keep_sides: bool = False) -> TfliteTensor:
        sides = (1, 1) if keep_sides else ()
        return self._add("MEAN", [source, self._constant((2,), "INT32")], (1, *sides, source.shape[3]))

    def dense(self, source: TfliteTensor, units: int) -> TfliteTensor:
        weights = self._constant((units, math.prod(source.shape)))
        return self._add("FULLY_CONNECTED", [source, weights, self._constant((units,), "INT32")], (1, units))

    def softmax(self, source: TfliteTensor) -> TfliteTensor:
        return self._add("SOFTMAX", [source], source.shape)

    def logistic(self, source: TfliteTensor) -> TfliteTensor:
        return self._add("LOGISTIC", [source], source.shape)

    def relu(self, source: TfliteTensor) -> TfliteTensor:
        return self._add("RELU", [source], source.shape)

    def affine(self, source: TfliteTensor) -> TfliteTensor:
        """A batch norm that nothing before it can take: a multiplication and an addition."""
        constant = [self._constant((source.shape[-1],), scale=True) for _ in range(2)]
        scaled = self._add("MUL", [source, constant[0]], source.shape)
        return self._add("ADD", [scaled, constant[1]], source.shape)

    def add(self, first: TfliteTensor, second: TfliteTensor) -> TfliteTensor:
        return self._add("ADD", [first, second], first.shape)

    def concat(self, *sources: TfliteTensor, axis: int = -1) -> TfliteTensor:
        shape = list(sources[0].shape)
        shape[axis] = sum(source.shape[axis] for source in sources)
        return self._add("CONCATENATION", list(sources), tuple(shape))

    def resize(self, source: TfliteTensor, height: int, width: int) -> TfliteTensor:
        size = self._constant((2,), "INT32")
        return self._add("RESIZE_BILINEAR", [source, size], (1, height, width, source.shape[3]))

    def reshape(self, source: TfliteTensor, *shape: int) -> TfliteTensor:
        return self._add("RESHAPE", [source, self._constant((len(shape),), "INT32")], shape)

    def other(self, name: str, sources: list[TfliteTensor], *shape: int) -> TfliteTensor:
        """An operator without weights."""
        return self._add(name, sources, shape)

    def _add(self, name: str, inputs: list[TfliteTensor], shape: tuple[int, ...], **options: int) -> TfliteTensor:
        output = self._tensor(shape)
        known = {}
        if "dilation" in options:
            known = {"dilationWFactor": options["dilation"], "dilationHFactor": options["dilation"]}
        elif "kernel" in options:
            known = {"filterWidth": options["kernel"], "filterHeight": options["kernel"]}
        self.operators.append(TfliteOperator(len(self.operators), name, 1, tuple(inputs), (output,), known))
        return output

    def _tensor(self, shape: tuple[int, ...]) -> TfliteTensor:
        self._tensors += 1
        return TfliteTensor(self._tensors, f"t{self._tensors}", shape, "INT8", False, (0.1,), (0,))

    def _constant(self, shape: tuple[int, ...], dtype: str = "INT8", *, scale: bool = False) -> TfliteTensor:
        self._tensors += 1
        scales = (0.1,) if scale or dtype == "INT8" else ()
        return TfliteTensor(self._tensors, f"c{self._tensors}", shape, dtype, True, scales, (0,))


def parameters(operators: list[TfliteOperator]) -> int:
    """Weights and biases."""
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
    return sum(
        math.prod(tensor.shape)
        for operator in operators
        if operator.name in kinds
        for tensor in operator.inputs
        if tensor is not None and tensor.is_constant and tensor.shape != (4,)
    )


def _pair(sides: Sides) -> tuple[int, int]:
    return sides if isinstance(sides, tuple) else (sides, sides)


def _out(source: TfliteTensor, kernel: tuple[int, int], stride: int, padding: str, dilation: int) -> tuple[int, int]:
    if padding == "same":
        return math.ceil(source.shape[1] / stride), math.ceil(source.shape[2] / stride)
    reach = [(side - 1) * dilation for side in kernel]
    return tuple(math.ceil((source.shape[1 + i] - reach[i]) / stride) for i in (0, 1))  # type: ignore[return-value]
