"""Engines that run a ``.tflite`` file: the runtime's own way, the runtime without XNNPACK, OpenVINO.

Needs what the runner needs, and for ``openvino`` that package. ``engine_of`` returns what makes interpreters, and the
engine's name and version, which keep the figures of one apart from those of another.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import numpy as np

LITERT, BUILTIN, OPENVINO = "litert", "litert-builtin", "openvino"
ENGINES = (LITERT, BUILTIN, OPENVINO)


def engine_of(name: str, runtime: tuple[Any, str, str] | None) -> tuple[Any, str, str]:
    """(maker of interpreters, name, version) of an engine; ``runtime`` is the same of the LiteRT runtime, if any.

    Raises RuntimeError when the engine is not there, in words for a user.
    """
    if name == OPENVINO:
        return _openvino()
    if runtime is None:
        raise RuntimeError("no LiteRT runtime was found")
    if name == LITERT:
        return runtime
    make_interpreter, distribution, version = runtime
    resolvers = getattr(sys.modules[make_interpreter.__module__], "OpResolverType", None)
    if resolvers is None:
        raise RuntimeError(f"{distribution} {version} cannot run without XNNPACK")
    kernels = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    make = functools.partial(make_interpreter, experimental_op_resolver_type=kernels)
    return make, f"{distribution} without XNNPACK", version


def _openvino() -> tuple[Any, str, str]:
    try:
        package = importlib.import_module("openvino")
        core = package.Core()
    except Exception as error:
        # A broken installation is as good as none.
        raise RuntimeError(f"OpenVINO cannot be used ({error}): pip install 'edgenas[openvino]'") from None
    version = str(package.__version__).split("-")[0]
    return functools.partial(OpenVinoInterpreter, package, core), "openvino", version


class OpenVinoInterpreter:
    """A model in OpenVINO's CPU plug-in, with the methods of a LiteRT interpreter that the runner calls.

    float32 is computed in float32: the plug-in would take bfloat16 on processors that have it.
    """

    def __init__(self, package: Any, core: Any, model_path: str, num_threads: int) -> None:
        model = core.read_model(model_path)
        settings = {
            "INFERENCE_NUM_THREADS": num_threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._package = package
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._inputs = list(model.inputs)
        self.invoke = self._request.infer

    def allocate_tensors(self) -> None:
        """It is all done when the model is compiled."""

    def get_input_details(self) -> list[dict[str, Any]]:
        """Index, name, shape, type and quantization of each input; the scale is not told, only that there is one."""
        details = []
        for index, source in enumerate(self._inputs):
            dtype = np.dtype(source.get_element_type().to_dtype())
            is_quantized = dtype in (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16))
            shape = tuple(int(side) for side in source.get_shape())
            scale = (1.0, 0) if is_quantized else (0.0, 0)
            details.append(
                {"index": index, "name": source.get_any_name(), "shape": shape, "dtype": dtype, "quantization": scale}
            )
        return details

    def set_tensor(self, index: int, values: np.ndarray) -> None:
        """Feeds an input, which keeps its values."""
        self._request.set_input_tensor(index, self._package.Tensor(np.ascontiguousarray(values)))
