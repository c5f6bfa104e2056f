"""NPUs that compute with one scale a tensor only, such as that of ST's STM32MP2.

ST's model zoo states it (STM32MP257, X-LINUX-AI): the same network takes 6.4 times as long with a scale for each
channel of the weights, since such layers leave the NPU's fast path. Which other operators the NPU takes is not known
here.
"""

from __future__ import annotations

from edgenas.export.targets.report import Placed, TargetReport, compiled_for, compiled_report
from edgenas.export.tflite.reader import TfliteOperator, read_operators

_TIMES_SLOWER = 6.4
_CHANGE = (
    "convert with one scale a tensor: tf.lite.TFLiteConverter has _experimental_disable_per_channel = True for it, and "
    "int8-qat trains such weights best; check the accuracy, which suffers where filters differ in size"
)
_QUANTIZE = "quantize the whole model to int8 (full integer, with a representative dataset)"


def check_per_tensor(model: bytes, target: str) -> TargetReport:
    """Which operators have weights with a scale per channel, or no integers at all. Raises InputError for no model."""
    if (compiled := compiled_for(model)) is not None:
        return compiled_report(target, model, compiled, "NPU")
    placed = tuple(_placed(operator) for operator in read_operators(model))
    changes = []
    if any("scale for each" in one.reason for one in placed):
        changes.append(_CHANGE)
    if any("float" in one.reason for one in placed):
        changes.append(_QUANTIZE)
    facts = {"rule": "weights with one scale a tensor", "times_slower_per_channel": _TIMES_SLOWER}
    return TargetReport(target, placed, "NPU", "slow path", {"file_bytes": len(model)}, tuple(changes), None, facts)


def _placed(operator: TfliteOperator) -> Placed:
    scales = max((len(tensor.scale) for tensor in operator.inputs if tensor is not None), default=0)
    if any(tensor.dtype == "FLOAT32" for tensor in operator.outputs):
        return Placed(operator.index, operator.name, False, "computes in float")
    if scales > 1:
        reason = f"weights with a scale for each channel: {_TIMES_SLOWER:g} times as slow as one scale"
        return Placed(operator.index, operator.name, False, reason)
    return Placed(operator.index, operator.name, True, "one scale a tensor")
