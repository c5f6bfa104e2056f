"""What a report shows of a latency table: its facts, its error, and what it predicts of the shipped model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgenas.export.figure import origin
from edgenas.report.data import LatencyPair, ReportData
from edgenas.report.facts import energy_origin, statistic_name, table_error, table_rows


def with_table(data: ReportData, path: Path) -> ReportData:
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable

    table = LatencyTable.load(path)
    predictor = Predictor(table)
    calibration = tuple(
        LatencyPair(
            f"calibration network {number}, left out of the fit",
            predicted,
            measured,
            "calibration",
            table.networks_kind,
        )
        for number, (predicted, measured) in enumerate(predictor.calibration.pairs, 1)
    )
    data = dataclasses.replace(
        data,
        pairs=(*calibration, *data.pairs),
        table_facts=table_rows(table),
        table_error=table_error(table),
        latency_statistic=statistic_name(table.statistic),
        latency_origin=f"from a table {origin(table.provenance.kind, table.device)}",
        energy_origin="" if table.energy is None else f"from {energy_origin(table.energy, table.device)}",
        compared_statistic=compared(data, table.statistic),
    )
    if data.network is None:
        return data
    prediction = predictor.predict(data.network)
    # The chosen trial was measured untrained as well: the same network, so only the shipped model counts.
    chosen = f"trial {data.best_trial}" if data.shipped is not None else None
    pairs = tuple(pair for pair in data.pairs if pair.label != chosen)
    measured = None if data.shipped is None else data.shipped.latency_ms.get(data.compared_statistic)
    if data.shipped is not None and measured is not None:
        predicted = data.shipped.predicted_ms or prediction.latency_ms
        pairs = (*pairs, LatencyPair("shipped model", predicted, measured, "shipped model", data.shipped.latency_kind))
    return dataclasses.replace(
        data, node_latency_ms=prediction.per_node, fixed_latency_ms=prediction.fixed_ms, pairs=pairs
    )


def compared(data: ReportData, statistic: str) -> str:
    """What a prediction is compared with: the quiet latency, or the fastest run where there is none."""
    if statistic != "quiet_min":
        return "median"
    return "quiet" if data.shipped is not None and "quiet" in data.shipped.latency_ms else "min"
