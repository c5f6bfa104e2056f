"""``edgenas check``: what an Edge TPU would take of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table
from spaces.errors import InputError

if TYPE_CHECKING:
    from export.edgetpu_check import EdgeTpuReport


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("check")(check)


def check(
    model: Path = typer.Argument(metavar="MODEL.tflite", help="The model file, compiled or not."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Which operators an Edge TPU would take, which fall to the CPU, why, and what to change.

    A prediction from the maker's rules: no compiler and no device is needed.
    """
    from export.edgetpu_check import check_edgetpu

    try:
        report = check_edgetpu(model.read_bytes())
    except OSError as error:
        raise InputError(f"{model}: cannot be read ({error.strerror}); expected a .tflite file") from None
    except InputError as error:
        raise InputError(f"{model}: {error}") from None
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, model)


def _print(report: EdgeTpuReport, model: Path) -> None:
    print_table(
        ("", "operator", "runs on", "reason"),
        [
            (operator.index, operator.op, "Edge TPU" if operator.mapped else "CPU", operator.reason)
            for operator in report.operators
        ],
        title=str(model),
    )
    print(f"{report.mapped} of {len(report.operators)} operators on the Edge TPU, {report.cpu} on the CPU")
    print(
        f"parameters on the Edge TPU: {report.parameter_bytes:,} bytes, {report.cached_bytes:,} in its cache, "
        f"{report.streamed_bytes:,} sent again at every inference"
    )
    if report.compiled:
        print("this file is compiled already: the bytes are the compiler's own")
    elif report.changes:
        print("what to change:")
        for change in report.changes:
            print(f"- {change}")
