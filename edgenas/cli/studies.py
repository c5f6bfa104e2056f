"""``edgenas serve`` and ``edgenas worker``: one study, many machines."""

from __future__ import annotations

import threading
from pathlib import Path

import typer

from edgenas.cli.output import JSON_OPTION, print_json, remark
from edgenas.cli.runs import DATA_DIR

TARGET = typer.Argument(metavar="RUN|URL", help="A run's folder, or the URL of a study.")
URL = typer.Argument(metavar="URL", help="The study: grpc://HOST:PORT of `edgenas serve`, postgresql://, mysql://, ...")


def add_to(app: typer.Typer) -> None:
    """Registers the verbs of this file."""
    app.command("serve")(serve)
    app.command("worker")(worker)


def serve(
    target: str = TARGET,
    port: int = typer.Option(13000, "--port", min=0, max=65535, help="Of gRPC, for workers; 0 takes a free one."),
    http_port: int | None = typer.Option(
        None, "--http-port", min=0, max=65535, help="Of the report's page; by default the one after --port."
    ),
    dashboard: bool = typer.Option(False, "--dashboard", help="Also Optuna's dashboard; needs edgenas[dashboard]."),
    host: str = typer.Option(
        "localhost", "--host", help="Where to listen; this machine alone by default, 0.0.0.0 for all networks."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Serve a study to workers on other machines, with a report that follows the search, until Ctrl-C."""
    from edgenas.run.serving import LOOPBACK, WARNING, serving

    with serving(target, host=host, port=port, http_port=http_port, dashboard=dashboard) as (study, report):
        if host not in LOOPBACK:
            remark(f"warning: {WARNING.format(host=host, port=study.rpartition(':')[2])}")
        if as_json:
            print_json({"study": study, "report": report, "dashboard": dashboard})
        else:
            print(study)
            remark(f"report: {report}" + (f"\ndashboard: {report.removesuffix('/report')}" if dashboard else ""))
            remark(f"workers: edgenas worker {study}; Ctrl-C stops")
        try:
            import sys

            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            remark("stopped; everything is in the study")


def worker(
    url: str = URL,
    name: str | None = typer.Option(
        None, "--name", help="A name that no other worker has; one that comes back under it gets its trial back."
    ),
    workers: int = typer.Option(1, "--workers", min=1, help="Candidates evaluated at once."),
    data_dir: Path | None = DATA_DIR,
    data: Path | None = typer.Option(None, "--data", help="Where the recipe's data.path lies on this machine."),
    plugin: list[Path] = typer.Option(
        [],
        "--plugin",
        help="A plug-in file of the recipe on this machine, once for each; --import does the same by its name.",
    ),
    folder: Path | None = typer.Option(None, "--folder", help="For its files; by default in EdgeNAS' home."),
    artifacts: str | None = typer.Option(
        None, "--artifacts", help="The store of weights as it is reached from here (search.artifacts.store)."
    ),
    wait: float = typer.Option(
        600.0, "--wait", min=0.0, help="Seconds to wait for a study that is not there yet, or whose server is down."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Take part in a search that `edgenas search` began: take a trial, evaluate it, report, until all are done."""
    from edgenas.run.worker import work

    result = work(
        url,
        name=name,
        folder=folder,
        data_dir=data_dir,
        data_path=data,
        plugins=tuple(plugin),
        workers=workers,
        wait_seconds=wait,
        artifacts=artifacts,
    )
    if as_json:
        print_json({"worker": result.worker, "trials": result.trials, "folder": str(result.folder)})
        return
    print(f"{result.worker}: {result.trials} trials ended here; its files are in {result.folder}")
