"""A network in plain data: costs node by node, with predictions and their provenance where a table is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgenas.spaces.cost import peak_activation_bytes
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network
from edgenas.spaces.ops import Convolution
from edgenas.spaces.references import (
    macs_as_counted,
    params_as_counted,
    published_figures,
    reference_names,
    reference_network,
)
from edgenas.spaces.resolve import ResolvedArchitecture

if TYPE_CHECKING:
    from edgenas.devices import Device, Energy


def describe_network(
    resolved: ResolvedArchitecture, *, device: str | None, precision: str, strict: bool = False
) -> dict[str, Any]:
    """The JSON of ``edgenas describe``.

    A simulated device is asked directly. Blocks that another's table lacks are interpolated, and named; with
    ``strict`` they are refused. Raises InputError when there is no table, or it is too small to learn from.
    """
    network = resolved.network
    predicted = _predict(network, device, precision, strict) if device else None
    interpolated = predicted["interpolated"] if predicted else frozenset()
    per_node = predicted["per_node"] if predicted else {}
    energy_per_node = predicted["energy_per_node"] if predicted else {}
    signatures = {name: entry.signature(precision) for name, entry in network.entries.items()}
    lowering = _group_convolution(device)
    return {
        "name": resolved.name,
        "architecture": resolved.architecture_text,
        "input_shape": list(network.inputs[0][1]),
        "macs": network.macs,
        "params": network.params,
        "peak_activation_bytes": peak_activation_bytes(network, precision),
        "latency_ms": predicted["latency_ms"] if predicted else None,
        "energy_mj": predicted["energy_mj"] if predicted else None,
        "provenance": predicted["provenance"] if predicted else None,
        "energy_provenance": predicted["energy_provenance"] if predicted else None,
        **({"memory": memory} if (memory := (predicted or {}).get("memory")) else {}),
        "interpolated": len(interpolated),
        "nodes": [
            {
                "name": node.name,
                "block": node.block.describe(),
                "input_shape": list(network.input_shapes(node)[0]),
                "output_shape": list(network.shapes[node.name]),
                "macs": network.blocks_lowered[node.name].macs,
                "params": network.blocks_lowered[node.name].params,
                "signature": signatures[node.name],
                "latency_ms": _of_node(network, node.name, per_node),
                "energy_mj": _of_node(network, node.name, energy_per_node),
                "group_convolution": _lowering(network.blocks_lowered[node.name], lowering),
                "interpolated": signatures[node.name] in interpolated,
            }
            for node in network.nodes
        ],
    }


def _of_node(network: Network, name: str, costs: Mapping[str, float | None]) -> float | None:
    """A node's cost: 0 where others do all that it does."""
    return 0.0 if costs and network.entries[name].is_given else costs.get(name)


def _predict(network: Network, device: str, precision: str, strict: bool) -> dict[str, Any]:
    from edgenas.devices import get_device
    from edgenas.latency.costing.devices import costing_of
    from edgenas.latency.predict.interpolation import Completed, complete
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable

    target = get_device(device)  # an unknown name is a clearer error than a missing table
    path = costing_of(target).table_path(None, precision)
    if path is None:
        return _ask(network, target, precision)
    table = LatencyTable.load(path, device=device, precision=precision)
    signatures = network.signatures(precision)
    table = table.for_blocks(signatures.values())
    completed = Completed(table, len(signatures)) if strict else complete(table, signatures.values())
    predictor = Predictor(completed.table)
    prediction = predictor.predict(network)
    told = [predictor.describe_error(), *filter(None, [completed.describe()])]
    return {
        "interpolated": frozenset(completed.interpolated),
        "latency_ms": prediction.latency_ms,
        "energy_mj": prediction.energy_mj,
        "memory": prediction.memory,
        "per_node": prediction.per_node,
        "energy_per_node": prediction.energy_per_node,
        "energy_provenance": prediction.energy_provenance,
        "provenance": prediction.provenance.to_json()
        | {
            "statistic": prediction.statistic,
            "error": completed.error(prediction.error, prediction.per_node, signatures, prediction.latency_ms),
            "summary": "; ".join(told),
        },
    }


def _ask(network: Network, device: Device, precision: str) -> dict[str, Any]:
    """The whole network and every node of it; what only a whole network costs belongs to no node."""
    from edgenas.devices import MeasureSettings
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.latency.profile.computed_in_networks import WrittenCounts, node_shares
    from edgenas.spaces.errors import InputError

    if precision not in device.precisions:
        raise InputError(f"device {device.name!r} runs {', '.join(device.precisions)}, not {precision}")
    whole = device.measure(write_tflite(network.graph, precision))
    outcomes: Mapping[str, object] = {}
    if device.tells_shares:
        outcomes = node_shares(network, whole, WrittenCounts(precision)) or {}
    if not outcomes:
        blocks = {name: write_tflite(entry.deployed, precision) for name, entry in network.running.items()}
        outcomes = device.measure_many(blocks, MeasureSettings(in_network=True))
    provenance = whole.provenance
    return {
        "interpolated": frozenset(),
        "latency_ms": whole.min,
        "energy_mj": whole.energy_mj,
        "memory": dict(whole.memory),
        "per_node": {name: _node_ms(outcome) for name, outcome in outcomes.items()},
        "energy_per_node": {name: getattr(outcome, "energy_mj", None) for name, outcome in outcomes.items()},
        "energy_provenance": None if whole.energy is None else _origin(whole.energy, device),
        "provenance": provenance.to_json()
        | {"statistic": provenance.kind, "error": None, "summary": f"{provenance.runtime}: {provenance.protocol}"},
    }


def _node_ms(outcome: object) -> float | None:
    """None where the device cannot say, or does not count all of the node."""
    latency_ms: float | None = getattr(outcome, "min", getattr(outcome, "latency_ms", None))
    return latency_ms if getattr(outcome, "counted", True) else None


def _origin(energy: Energy, device: Device) -> dict[str, Any]:
    """Where a simulated energy comes from, in the words of
    :meth:`edgenas.latency.predict.predictor.Predictor.energy_provenance`.
    """
    return {
        "kind": energy.kind,
        "table_kind": energy.kind,
        "meter": energy.meter,
        "idle_watts": energy.idle_watts,
        "active_watts": energy.active_watts,
        "error": None,
        "summary": f"energy {energy.kind} ({energy.meter}): {device.spec.power.describe(sources=False)}",
    }


def _group_convolution(device: str | None) -> str:
    """What a group convolution becomes on a device, and without one."""
    if device is None:
        return "native"
    from edgenas.devices import get_device

    return get_device(device).group_convolution


def _lowering(graph: OpGraph, lowering: str) -> str | None:
    """How the group convolutions of a block are written for the device; None when it has none."""
    grouped = any(isinstance(node.op, Convolution) and node.op.groups > 1 for node in graph.nodes)
    return lowering if grouped else None


def describe_references() -> list[dict[str, Any]]:
    """Every reference network beside what its authors published; None where they published nothing.

    Differences are in percent of the published figure. A source that counts in another way is compared in its own way
    (``params_as_published_counts``, ``macs_as_published_counts``); a figure that does not describe the network that the
    source's own code builds is listed in ``disputed``, with the reason in ``note``. ``agreement`` says in words how
    well each figure is met.
    """
    rows = []
    for name in reference_names():
        network, published = reference_network(name), published_figures(name)
        counted = params_as_counted(network, published.counted)
        macs = macs_as_counted(network, published.macs_counted)
        rows.append(
            {
                "name": name,
                "input_shape": list(network.inputs[0][1]),
                "macs": network.macs,
                "published_macs": published.macs,
                "macs_counted": published.macs_counted,
                "macs_as_published_counts": macs,
                "macs_difference_pct": _difference(macs, published.macs),
                "params": network.params,
                "counted": published.counted,
                "params_as_published_counts": counted,
                "published_params": published.params,
                "params_difference_pct": _difference(counted, published.params),
                "agreement": {
                    "macs": published.agreement("macs", macs),
                    "params": published.agreement("params", counted),
                },
                "disputed": list(published.disputed),
                "source": published.source,
                "note": published.note,
            }
        )
    return rows


def _difference(count: int, published: int | None) -> float | None:
    return None if published is None else round(100 * (count / published - 1), 2)
