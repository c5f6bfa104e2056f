"""A float model in int8 but for some of its layers, or only one of them.

The work is done by ``litert-quantizer`` (extra ``edgenas[selective]``), by layer and without TensorFlow: a file takes a
tenth of a second. Ranges are the minima and maxima over the calibration examples, as those of the recipe ``int8``.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export._console import quiet_console
from edgenas.export.extra import SELECTIVE
from edgenas.export.quantization.recipe import Calibration, per_input
from edgenas.export.quantization.selective.settings import KEEPS
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError, WorkError

_SIGNATURE = "serving_default"
#: They hand values on as they are, so nothing is lost in them.
_WITHOUT_ARITHMETIC = frozenset(
    {
        *("RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT", "SLICE", "STRIDED_SLICE", "PAD", "PADV2", "MIRROR_PAD"),
        *("PACK", "UNPACK", "GATHER", "GATHER_ND", "BROADCAST_TO", "SPACE_TO_DEPTH", "MAX_POOL_2D", "RELU"),
        *("RESIZE_NEAREST_NEIGHBOR", "REDUCE_MIN", "MAXIMUM", "SELECT", "SELECT_V2", "EQUAL", "NOT_EQUAL"),
    }
)


@dataclass(frozen=True)
class Layer:
    """An operator of the float file that computes; ``tensor`` is the name of its output."""

    index: int
    operator: str
    tensor: str

    @property
    def pattern(self) -> str:
        """Matches this layer alone, as the quantizer names layers."""
        return f"^{re.escape(self.tensor)};?$"


class LayerQuantizer:
    """A float ``.tflite`` file, calibrated once.

    Args:
        model: the float file.
        calibration: examples as the model takes them, (N, ...) for each input.

    Raises InputError without the extra or for what is no float model, WorkError when the quantizer fails.
    """

    def __init__(self, model: bytes, calibration: Calibration) -> None:
        SELECTIVE.require()
        operators = read_operators(model)
        if not any(tensor.dtype == "FLOAT32" for operator in operators for tensor in operator.outputs):
            raise InputError("layers can be quantized one by one in a float32 model only")
        self._model = rewrite(model, _prepare)
        self.layers = _layers(read_operators(self._model))
        self._ranges = _calling(lambda: self._calibrate(per_input(calibration)))

    def quantize(self, kept: Collection[int] = (), keep: str = "float") -> bytes:
        """The file in int8, with the layers of these indices in float or int16."""
        if keep not in KEEPS:
            raise InputError(f"layers can be kept in {' or '.join(KEEPS)}, not {keep!r}")
        layers = self._chosen(kept)
        return self._convert(lambda quantizer, names: _keep(quantizer, names, layers, keep))

    def only(self, index: int) -> bytes:
        """The float file with one layer in int8."""
        (layer,) = self._chosen((index,))
        return self._convert(lambda quantizer, names: quantizer.add_static_config(layer.pattern, names("*"), 8, 8))

    def _chosen(self, indices: Collection[int]) -> list[Layer]:
        known = {layer.index: layer for layer in self.layers}
        if unknown := sorted(set(indices) - set(known)):
            raise InputError(f"the model has no layer {unknown[0]}: expected one of {', '.join(map(str, known))}")
        return [known[index] for index in sorted(indices)]

    def _calibrate(self, inputs: Sequence[np.ndarray]) -> dict[str, Any]:
        from litert_quantizer import calibrator, recipe, recipe_manager
        from litert_quantizer.utils import qsv_utils

        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(recipe.static_wi8_ai8())
        watch = calibrator.Calibrator(
            self._model,
            num_threads=1,
            mode=calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS,
            qsv_update_func=qsv_utils.min_max_update,
        )
        examples = [
            {str(place): values[np.newaxis] for place, values in enumerate(example)}
            for example in zip(*inputs, strict=True)
        ]
        watch.calibrate({_SIGNATURE: examples}, manager)
        ranges: dict[str, Any] = watch.get_model_qsvs()
        return ranges

    def _convert(self, configure: Callable[[Any, Any], None]) -> bytes:
        def convert() -> bytes:
            from litert_quantizer import qtyping, quantizer

            maker = quantizer.Quantizer(self._model)
            configure(maker, qtyping.TFLOperationName)
            found = maker.quantize(self._ranges, enable_progress_bar=False, enable_progress_report=False)
            return bytes(found.quantized_model)

        return rewrite(_calling(convert), _without_signature)


def _keep(quantizer: Any, names: Any, layers: Sequence[Layer], keep: str) -> None:
    quantizer.add_static_config(".*", names("*"), 8, 8)
    for layer in layers:
        if keep == "float":
            quantizer.update_quantization_recipe(layer.pattern, names("*"), algorithm_key="no_quantize")
        else:
            quantizer.add_static_config(layer.pattern, names("*"), 16, 8)


def _layers(operators: Sequence[TfliteOperator]) -> tuple[Layer, ...]:
    from litert_quantizer import qtyping

    known = {name.value for name in qtyping.TFLOperationName}
    return tuple(
        Layer(operator.index, operator.name, operator.outputs[0].name)
        for operator in operators
        if operator.name in known - _WITHOUT_ARITHMETIC and operator.outputs[0].dtype == "FLOAT32"
    )


def _prepare(tree: Any) -> None:
    """Gives the model the signature that the quantizer asks for, and every tensor a name of its own."""
    made, graph = schema(), tree.subgraphs[0]
    for count, tensor in _repeated(graph.tensors):
        tensor.name = tensor.name + f"#{count}".encode()

    def ends(places: Sequence[int]) -> list[Any]:
        found = []
        for number, place in enumerate(places):
            end = made.TensorMapT()
            end.name, end.tensorIndex = str(number), place
            found.append(end)
        return found

    signature = made.SignatureDefT()
    signature.inputs, signature.outputs = ends(graph.inputs), ends(graph.outputs)
    signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
    tree.signatureDefs = [signature]


def _repeated(tensors: Sequence[Any]) -> list[tuple[int, Any]]:
    """Tensors whose name was there before, with how often."""
    seen: Counter[bytes] = Counter()
    found = []
    for tensor in tensors:
        tensor.name = bytes(tensor.name or b"tensor")
        seen[tensor.name] += 1
        if seen[tensor.name] > 1:
            found.append((seen[tensor.name], tensor))
    return found


def _without_signature(tree: Any) -> None:
    tree.signatureDefs = None


def _calling(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, with the quantizer's chatter kept off the console. Raises WorkError in its words."""
    try:
        with quiet_console(), contextlib.redirect_stderr(io.StringIO()):
            return work()
    except Exception as error:
        words = " ".join(str(error).split())[:400] or type(error).__name__
        raise WorkError(f"{SELECTIVE.package} did not quantize the model: {words}") from error
