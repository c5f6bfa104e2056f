"""What layers compute in: which precisions a machine has, and the scale of the loss that float16 needs.

Half precision is for speed; a machine that only emulates it is slower with it, so it is refused there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.export._tensorflow import tensorflow

#: Least compute capability of a GPU that computes it natively.
_CAPABILITY = {"mixed_bfloat16": (8, 0), "mixed_float16": (7, 0)}
#: Instructions of a CPU that compute bfloat16; no CPU computes float16 as a whole training needs it.
_CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
_CPU_FACTS = Path("/proc/cpuinfo")
_FIRST_SCALE, _GROWTH_STEPS = 2.0**15, 2000.0


def compute_policy(precision: str) -> str:
    """The Keras dtype policy; ``auto`` is ``mixed_bfloat16`` where all GPUs compute it natively, else ``float32``."""
    if precision != "auto":
        return precision
    capabilities = _capabilities()
    return "mixed_bfloat16" if capabilities and min(capabilities) >= _CAPABILITY["mixed_bfloat16"] else "float32"


def precision_problem(precision: str) -> str | None:
    """Why a precision makes no sense on this machine, and what to do instead; None when it does."""
    least = _CAPABILITY.get(precision)
    if least is None:
        return None
    capabilities = _capabilities()
    if capabilities:
        if min(capabilities) >= least:
            return None
        found = ".".join(map(str, min(capabilities)))
        wanted = ".".join(map(str, least))
        return f"{precision} needs GPUs of compute capability {wanted}, found {found}; use float32, or auto"
    if precision == "mixed_float16":
        return "mixed_float16 needs a GPU, and TensorFlow sees none here; use float32, or auto"
    if not _cpu_has_bfloat16():
        return (
            f"this CPU has no bfloat16 arithmetic (none of {', '.join(_CPU_BFLOAT16)} in {_CPU_FACTS}), so "
            f"{precision} would be slower than float32; use float32, or auto"
        )
    return None


def _capabilities() -> list[tuple[int, int]]:
    """Compute capabilities of the GPUs that TensorFlow sees."""
    config = tensorflow().config
    details = [config.experimental.get_device_details(gpu) for gpu in config.list_physical_devices("GPU")]
    return [tuple(found.get("compute_capability", (0, 0))) for found in details]


def _cpu_has_bfloat16() -> bool:
    try:
        text = _CPU_FACTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # a system that does not tell
    words = next((line for line in text.splitlines() if line.lower().startswith(("flags", "features"))), "")
    return bool(set(_CPU_BFLOAT16) & set(words.split()))


class LossScale:
    """A factor of the loss that keeps gradients in float16's range (arXiv 1710.03740).

    A step whose gradient is not finite is left out, and the factor halved; after many good steps it is doubled.

    Attributes:
        variables: its state, for a checkpoint.
    """

    def __init__(self) -> None:
        tf = tensorflow()
        self.variables = {"loss_scale": tf.Variable(_FIRST_SCALE), "good_steps": tf.Variable(0.0)}

    @property
    def value(self) -> Any:
        return self.variables["loss_scale"].read_value()

    def update(self, finite: Any) -> None:
        """Hears whether a step was finite; part of its graph."""
        tf = tensorflow()
        scale, good = self.variables["loss_scale"], self.variables["good_steps"]
        count = good.read_value() + 1.0
        grown = tf.where(count >= _GROWTH_STEPS, scale * 2.0, scale)
        scale.assign(tf.where(finite, grown, tf.maximum(scale * 0.5, 1.0)))
        good.assign(tf.where(finite & (count < _GROWTH_STEPS), count, 0.0))
