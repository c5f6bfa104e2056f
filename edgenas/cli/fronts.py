"""``edgenas export RUN --front``: the exported points as a table."""

from __future__ import annotations

from pathlib import Path

from edgenas.cli.output import print_json, print_table, remark


def print_front(folder: Path, output: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Exports the front and prints one row per point."""
    from edgenas.export.figure import common_kind
    from edgenas.report.text import metric_title, signed_percent
    from edgenas.run.front import INDEX, PAGE, export_front

    front = export_front(folder, output, data_dir=data_dir)
    if as_json:
        print_json({"folder": str(front.folder), "index": str(front.folder / INDEX), **front.index})
        return
    done = [point for point in front.points if point["state"] == "exported"]
    kind, title = common_kind(point["latency_kind"] for point in done), metric_title(done[0]["metric"])
    rows = []
    for point in done:
        ratio = point["quiet_over_predicted"]
        rows.append(
            (
                point["trial"],
                round(100 * point["score_tflite"], 2),
                round(100 * point["score_float"], 2),
                point["latency_ms"]["quiet"],
                point["predicted_ms"],
                signed_percent(None if ratio is None else ratio - 1),
                point["latency_ms"]["median"],
                point["size_bytes"],
                "; ".join(point["problems"]) or "verified",
            )
        )
    header = (
        "trial",
        f"{title} %",
        "float %",
        f"quiet ms ({kind})",
        "predicted ms",
        "off by",
        f"median ms ({kind})",
        "bytes",
        "bundle",
    )
    print_table(header, rows, title=f"front of {front.index['name']} on {front.index['device']}")
    for point in front.points:
        if point["state"] != "exported":
            remark(f"trial {point['trial']} has no bundle: {point['reason']}")
    print(f"{front.folder / PAGE}: a plot whose points lead to their bundles")
