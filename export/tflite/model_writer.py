"""What op writers work with, and the registry that finds them by op class.

A new op is a new function in this registry:

    @op_writer(MyOp)
    def _write_my_op(writer: ModelWriter, node: DeployedNode) -> None:
        output = writer.add_activation(node.name, writer.ranges[node.inputs[0]])
        writer.add_operator("MY_OP", [writer.tensor(node.inputs[0])], output)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from edgenas.export.deployed import DeployedGraph, DeployedNode
from edgenas.export.quantization.activation_ranges import (
    STANDARD_NORMAL,
    ActivationRange,
    Quantization,
    after_activation,
    normal,
)
from edgenas.export.tflite.assembler import ModelAssembler
from edgenas.export.tflite.schema import schema
from edgenas.export.tflite.ties import same_quantization, tied_quantizations
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Op

_FUSED = {"linear": "NONE", "relu": "RELU", "relu6": "RELU6"}
#: What has less holds nothing but zeros.
_NO_POWER = 1e-9
#: Random biases are uniform up to this many standard deviations of what the kernel puts out.
_BIAS_REACH = 0.25
#: Constants up to this size are looked up before they are stored again.
_SHARED_BYTES = 16

#: Arrays that are not drawn at random, by the name of their node.
Constants = Mapping[str, tuple[np.ndarray, ...]]
OpWriter = Callable[["ModelWriter", DeployedNode], None]
WriterType = TypeVar("WriterType", bound=OpWriter)
_WRITERS: dict[type[Op], OpWriter] = {}


def op_writer(op_class: type[Op]) -> Callable[[WriterType], WriterType]:
    """Decorator that registers how an op class is written. Raises InputError when it already is."""

    def register(writer: WriterType) -> WriterType:
        known = _WRITERS.get(op_class)
        if known is not None and known.__qualname__ != writer.__qualname__:
            raise InputError(f"{op_class.__name__} is already written by {known.__qualname__}")
        _WRITERS[op_class] = writer
        return writer

    return register


class ModelWriter:
    """What op writers work with: the shapes, value ranges and tensors so far, and methods to add more."""

    def __init__(
        self,
        graph: DeployedGraph,
        precision: str,
        rng: np.random.Generator,
        given: Quantization | None = None,
        begins_with: Quantization | None = None,
        constants: Constants | None = None,
        *,
        kernel_seed: int | None = None,
    ) -> None:
        self.graph = graph
        self.precision = precision
        self.rng = rng
        self._given = given
        self.begins_with = begins_with
        self.constants: Constants = constants or {}
        self._real = _real_tensors(graph)
        self.is_int8 = precision == "int8"
        self.ranges: dict[str, ActivationRange] = {}
        self._assembler = ModelAssembler("main")
        self._tensors: dict[str, int] = {}
        self._small_constants: dict[Any, int] = {}
        self._quantizations: dict[str, Quantization | None] = {}
        self._kernels: dict[str, tuple[int, np.ndarray, np.ndarray]] = {}
        self._kernel_seed = kernel_seed
        self._shared: dict[tuple[str, str], int] = {}
        self._tied: dict[str, Quantization] = {}

    def write(self) -> bytes:
        """The whole model. Raises InputError when an op has no writer."""
        if self.is_int8 and any(node.op.traits.same_scale for node in self.graph.nodes):
            first = type(self)(
                self.graph,
                self.precision,
                copy.deepcopy(self.rng),
                self._given,
                self.begins_with,
                self.constants,
                kernel_seed=self._kernel_seed,
            )
            first._write_nodes()
            self._tied = tied_quantizations(self.graph, first.ranges)
        self._write_nodes()
        inputs = [self._tensors[name] for name, _ in self.graph.inputs]
        outputs = [self._tensors[name] for name in self.graph.outputs]
        return self._assembler.build(inputs, outputs, f"EdgeNAS {self.precision}, random weights")

    def _write_nodes(self) -> None:
        for name, _ in self.graph.inputs:
            self.add_activation(name, STANDARD_NORMAL, quantization=self._given)
        for node in self.graph.nodes:
            writer = _WRITERS.get(type(node.op))
            if writer is None:
                raise InputError(
                    f"node {node.name!r}: no TFLite writer for the op {type(node.op).__name__}: "
                    "register one with edgenas.export.tflite.model_writer.op_writer"
                )
            writer(self, node)

    def tensor(self, name: str) -> int:
        """Index of an activation's tensor."""
        return self._tensors[name]

    def quantization(self, name: str) -> Quantization:
        """Scale and zero point of an int8 activation."""
        found = self._quantizations[name]
        assert found is not None
        return found

    def add_temporary(
        self, name: str, shape: tuple[int, ...], dtype: str, quantization: Quantization | None = None
    ) -> int:
        """A tensor between the operators of one op; ``shape`` is without the batch."""
        return self._assembler.add_tensor(name, (1, *shape), dtype, quantization)

    def scale(self, name: str) -> float:
        """Scale of an int8 activation; 1 in a float model."""
        quantization = self._quantizations[name]
        return 1.0 if quantization is None else float(quantization.scale[0])

    def add_activation(self, name: str, values: ActivationRange, *, quantization: Quantization | None = None) -> int:
        """The tensor of a node's output; its scale follows from the range unless one is given."""
        self.ranges[name] = values
        is_real = self.graph.shapes[name].is_real
        is_int8 = self.is_int8 and name not in self._real
        if is_int8 and is_real:
            self._quantizations[name] = quantization or self._tied.get(name) or values.quantization()
        else:
            self._quantizations[name] = None
        dtype = self.graph.shapes[name].dtype if not is_real else "int8" if is_int8 else "float32"
        shape = (1, *self.graph.shapes[name])
        self._tensors[name] = self._assembler.add_tensor(name, shape, dtype, self._quantizations[name])
        return self._tensors[name]

    def add_like(self, name: str, source: str, values: ActivationRange) -> int:
        """The tensor of a node that must keep the scale of ``source``, as pools do."""
        return self.add_activation(name, values, quantization=self._quantizations[source])

    def add_tied(self, node: DeployedNode, values: ActivationRange) -> int:
        """The output of a node whose int8 inputs must have its own scale; see :meth:`tensor_like`."""
        return self.add_activation(node.name, values)

    def tensor_like(self, name: str, other: str) -> int:
        """The activation's tensor, brought to the scale of another if its own differs."""
        own, wanted = self._quantizations[name], self._quantizations[other]
        if own is None or wanted is None or same_quantization(own, wanted):
            return self._tensors[name]
        shape = (1, *self.graph.shapes[name])
        scaled = self._assembler.add_tensor(f"{name}/as/{other}", shape, "int8", wanted)
        self.add_operator("QUANTIZE", [self._tensors[name]], scaled, version=2, options="QuantizeOptions")
        return scaled

    def shared_constant(
        self, node: DeployedNode, what: str, data: np.ndarray, quantization: Quantization | None = None
    ) -> int:
        """A constant of a node, or that of the node whose weights it uses."""
        key = (node.weights or node.name, what)
        if key not in self._shared:
            self._shared[key] = self.add_constant(f"{node.name}/{what}", data, quantization)
        return self._shared[key]

    def add_constant(self, name: str, data: np.ndarray, quantization: Quantization | None = None) -> int:
        """A constant tensor. In a float16 model floats are stored halved and expanded by a DEQUANTIZE.

        Equal small constants, such as the axes of means, are stored once.
        """
        if data.nbytes > _SHARED_BYTES:
            return self._new_constant(name, data, quantization)
        affine = quantization and (quantization.scale.tobytes(), quantization.zero_point, quantization.dimension)
        key = (data.dtype.name, data.shape, data.tobytes(), affine)
        if key not in self._small_constants:
            self._small_constants[key] = self._new_constant(name, data, quantization)
        return self._small_constants[key]

    def _new_constant(self, name: str, data: np.ndarray, quantization: Quantization | None) -> int:
        if data.dtype != np.float32 or self.precision != "float16":
            return self._assembler.add_tensor(name, data.shape, data.dtype.name, quantization, data)
        half = self._assembler.add_tensor(f"{name}/half", data.shape, "float16", None, data.astype(np.float16))
        full = self._assembler.add_tensor(name, data.shape, "float32")
        self._assembler.add_operator("DEQUANTIZE", [half], full, version=3, options="DequantizeOptions")
        return full

    def add_operator(self, kind: str, inputs: list[int], output: int, **options: Any) -> None:
        """See :meth:`ModelAssembler.add_operator`."""
        self._assembler.add_operator(kind, inputs, output, **options)

    def add_last_operator(self, kind: str, inputs: list[int], output: int, **options: Any) -> None:
        """See :meth:`ModelAssembler.add_operator`; it stays where it is, also where it is an expansion elsewhere."""
        self._assembler.add_operator(kind, inputs, output, in_place=True, **options)

    def add_custom_operator(self, name: str, inputs: list[int], outputs: list[int], options: bytes) -> None:
        """See :meth:`ModelAssembler.add_custom_operator`."""
        self._assembler.add_custom_operator(name, inputs, outputs, options)

    def fused(self, node: DeployedNode) -> int:
        """The schema's number of the node's fused activation."""
        return int(getattr(schema().ActivationFunctionType, _FUSED[node.activation]))

    def add_kernel(self, node: DeployedNode, shape: tuple[int, ...], channel_axis: int, fan_in: int) -> list[int]:
        """Random kernel, and bias if the node has one, such that outputs have mean 0 (plus the folded offset) and
        variance 1; returns the operator's inputs.

        The kernel is uniform, with its own limit for each output channel, and drawn as 8-bit integers, so that a
        float model of the same seed has the same weights.
        """
        (source,) = node.inputs
        channels = shape[channel_axis]
        power = self.ranges[source].power
        limit = math.sqrt(3 / (fan_in * (power if power > _NO_POWER else 1.0)))
        known = self._kernels.get(node.weights or node.name)
        if known is None:
            scales = (limit / 127 * self.rng.uniform(0.75, 1.25, channels)).astype(np.float32)
            rng = self.rng if self._kernel_seed is None else np.random.default_rng(self._kernel_seed)
            stored = rng.integers(-127, 127, shape, dtype=np.int8, endpoint=True)
            bias = self.rng.uniform(-_BIAS_REACH, _BIAS_REACH, channels) + node.bias_offset
            if self.is_int8:
                kernel = self.add_constant(f"{node.name}/kernel", stored, Quantization(scales, dimension=channel_axis))
            else:
                broadcast = [1] * len(shape)
                broadcast[channel_axis] = channels
                kernel = self.add_constant(f"{node.name}/kernel", stored * scales.reshape(broadcast))
            self._kernels[node.name] = kernel, scales, bias
        else:
            kernel, scales, bias = known
        if self.is_int8:
            bias_scales = (scales * self.scale(source)).astype(np.float32)
            bias_data, bias_quantization = np.rint(bias / bias_scales).astype(np.int32), Quantization(bias_scales)
        else:
            bias_data, bias_quantization = bias.astype(np.float32), None
        inputs = [self.tensor(source), kernel]
        return (
            [*inputs, self.add_constant(f"{node.name}/bias", bias_data, bias_quantization)] if node.has_bias else inputs
        )

    def add_weighted_output(self, node: DeployedNode) -> int:
        """The output of a node whose kernel :meth:`add_kernel` made."""
        variance = 1 + (_BIAS_REACH**2 / 3 if node.has_bias else 0)
        return self.add_activation(node.name, after_activation(node.activation, normal(node.bias_offset, variance)))


def _real_tensors(graph: DeployedGraph) -> set[str]:
    """Inputs and outputs that hold real numbers in every precision."""
    taken = {name for node in graph.nodes if node.op.traits.takes_real for name in node.inputs}
    return taken | {node.name for node in graph.nodes if node.op.traits.gives_real}
