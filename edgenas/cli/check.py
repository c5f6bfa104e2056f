"""``edgenas check``: what an Edge TPU would take of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.files import naming, read_model
from edgenas.cli.model_options import SHAPE, SIGNATURE, choose_model, print_notes
from edgenas.cli.output import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from edgenas.export.compilers.edgetpu.check import EdgeTpuReport


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("check")(check)


def check(
    model: Path = typer.Argument(metavar="MODEL.tflite", help="The model file, compiled or not."),
    compile_it: bool = typer.Option(True, "--compile/--no-compile", help="Ask edgetpu_compiler too, if installed."),
    signature: str | None = SIGNATURE,
    shape: list[str] = SHAPE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Which operators an Edge TPU would take, which fall to the CPU, why, and what to change.

    A prediction from the maker's rules: no compiler and no device is needed. Where edgetpu_compiler is on the PATH, it
    is run as well, and what it says stands beside the prediction.
    """
    from edgenas.export.compilers.edgetpu.check import check_edgetpu

    content = read_model(model)
    with naming(model):
        chosen = choose_model(content, signature=signature, shapes=shape, is_fed=False, keep_open=True)
        content = chosen.content
        report = check_edgetpu(content)
    said = None if report.compiled or not compile_it else _ask_compiler(content)
    if said is not None:
        said["agrees"] = said.get("mapped", 0) == report.mapped
    if as_json:
        print_json(report.to_json() | {"compiler": said, "model": chosen.to_json()})
        return
    _print(report, model)
    print_notes(chosen)
    if said is not None and "error" in said:
        print(said["error"])
    elif said is not None:
        print(
            f"edgetpu_compiler {said['version']} mapped {said['mapped']} operators and left {said['cpu']} to the CPU: "
            f"{'as' if said['agrees'] else 'not as'} predicted"
        )


def _ask_compiler(model: bytes) -> dict[str, Any] | None:
    """What the compiler makes of it, or why it fails; None when it is not installed."""
    from edgenas.export.compilers.edgetpu.compiler import compile_for_edgetpu, find_compiler
    from edgenas.spaces.errors import WorkError

    if find_compiler() is None:
        return None
    try:
        log = compile_for_edgetpu(model).log
    except WorkError as error:
        return {"error": str(error)}
    return log.to_json()


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
