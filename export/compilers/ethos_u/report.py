"""What Arm's compiler says of a compiled model: cycles, memory, and where each operator of the file runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OperatorCost:
    """One operator of the ``.tflite`` file, at its place in the file.

    ``cycles`` is what it adds to the estimate (0 where another operator does its work along), ``sram_bytes`` what the
    SRAM holds while it runs, ``constant_bytes`` its encoded weights and scales. ``reason`` is the compiler's own words
    about one that is left to the CPU.
    """

    index: int
    name: str
    cycles: int
    on_npu: bool
    sram_bytes: int = 0
    constant_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True)
class VelaReport:
    """Arm's estimate of one inference on the NPU; operators on the CPU are not in it.

    ``cycles`` are by part: ``total`` (what the latency is), ``npu``, and those of each memory's accesses, which run
    beside. ``memory_bytes`` is the most that each memory holds, ``traffic_bytes`` what crosses its bus.
    """

    clock_hz: float
    cycles: Mapping[str, int]
    memory_bytes: Mapping[str, int]
    traffic_bytes: Mapping[str, int]
    constant_bytes: int
    macs: int
    operators: tuple[OperatorCost, ...]
    cpu_operators: int = 0
    cascades: int = 0
    constants_in_sram: bool = False

    @property
    def latency_ms(self) -> float:
        return 1e3 * self.cycles["total"] / self.clock_hz

    @property
    def sram_bytes(self) -> int:
        """The most that the SRAM holds of tensors and buffered weights; constants are apart, wherever they lie."""
        return self.memory_bytes.get("Sram", 0) - (self.constant_bytes if self.constants_in_sram else 0)

    @property
    def arena_bytes(self) -> int:
        """What the compiler planned where tensors lie: in DRAM where there is one for them, else in the SRAM."""
        in_dram = self.memory_bytes.get("Dram", 0) - self.constant_bytes
        return max(self.sram_bytes, in_dram)

    @property
    def flash_bytes(self) -> int:
        """Constants that the NPU reads: encoded weights, scales, tables."""
        return self.constant_bytes

    @property
    def off_chip_bytes(self) -> int:
        """Bytes that cross the bus of off-chip memory in one inference."""
        return sum(bytes_ for memory, bytes_ in self.traffic_bytes.items() if memory in ("Dram", "OffChipFlash"))

    @property
    def on_cpu(self) -> tuple[OperatorCost, ...]:
        return tuple(operator for operator in self.operators if not operator.on_npu)

    def operators_ms(self) -> tuple[float, ...]:
        """What each operator of the file adds to the latency, in ms."""
        return tuple(1e3 * operator.cycles / self.clock_hz for operator in self.operators)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        return {
            "latency_ms": self.latency_ms,
            "clock_mhz": self.clock_hz / 1e6,
            "cycles": dict(self.cycles),
            "sram_bytes": self.sram_bytes,
            "flash_bytes": self.flash_bytes,
            "off_chip_traffic_bytes": self.off_chip_bytes,
            "memory_bytes": dict(self.memory_bytes),
            "traffic_bytes": dict(self.traffic_bytes),
            "macs": self.macs,
            "npu_operators": len(self.operators) - len(self.on_cpu),
            "cpu_operators": len(self.on_cpu),
            "cascades": self.cascades,
        }


def read_report(
    answer: Mapping[str, Any],
    names: Sequence[str],
    outputs: Sequence[str],
    *,
    clock_hz: float,
    constants_in_sram: bool = False,
) -> VelaReport:
    """The report in an answer of the worker, for a file with operators of these names and first outputs."""
    reasons = read_reasons(answer["words"])
    costs = answer["operators"]
    operators = []
    for index, name in enumerate(names):
        cost = costs.get(str(index), {})
        on_npu = not cost.get("on_cpu", False)
        reason = "" if on_npu else reasons.get(outputs[index], "left to the CPU without a reason")
        operators.append(
            OperatorCost(
                index,
                name,
                cost.get("cycles", 0),
                on_npu,
                cost.get("sram_bytes", 0),
                cost.get("constant_bytes", 0),
                reason,
            )
        )
    return VelaReport(
        clock_hz=clock_hz,
        cycles=answer["cycles"],
        memory_bytes=answer["memory_bytes"],
        traffic_bytes=answer["traffic_bytes"],
        constant_bytes=answer["constant_bytes"],
        macs=answer["macs"],
        operators=tuple(operators),
        cpu_operators=answer["cpu_operators"],
        cascades=answer["cascades"],
        constants_in_sram=constants_in_sram,
    )


def read_reasons(words: str) -> dict[str, str]:
    r"""Why operators are left to the CPU, by the name of their first output, from what the compiler prints.

    >>> read_reasons("Warning (supported operators) operator: CUSTOM, ofm: 'poses'\nReason: Unsupported opType\n")
    {'poses': 'Unsupported opType'}
    """
    found: dict[str, str] = {}
    for part in words.split("Warning (supported operators) operator: ")[1:]:
        head, _, reason = part.partition("\nReason: ")
        output = head.partition("ofm: '")[2].rpartition("'")[0]
        reason = reason.split("\n\n")[0].split("\nWarning")[0]
        found[output] = "; ".join(line.strip(" -") for line in reason.splitlines() if line.strip())
    return found
