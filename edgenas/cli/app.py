"""The verbs and where they live."""

from __future__ import annotations

import typer

from edgenas.cli import check, compare, devices, ensembles, models, predict, run_lists, runs, spaces, studies, train
from edgenas.cli import latency_tables as tables
from edgenas.cli import printed_table as table

app = typer.Typer(
    help="Measure a device once, then find, train, quantize and export the most accurate network for its budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

runs.add_to(app)
run_lists.add_to(app)
train.add_to(app)
ensembles.add_to(app)
tables.add_to(app)
models.add_to(app)
check.add_to(app)
compare.add_to(app)
predict.add_to(app)
studies.add_to(app)
app.add_typer(spaces.app, name="spaces")
app.add_typer(devices.app, name="devices")
app.add_typer(table.app, name="table")
app.add_typer(models.bundle_app, name="bundle")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"edgenas {version('edgenas')}")
        raise typer.Exit()


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    imports: list[str] = typer.Option(
        [],
        "--import",
        metavar="MODULE|FILE.py",
        help="Import a plug-in first: your own blocks, tasks, devices, algorithms, evaluators; anywhere in a command.",
    ),
) -> None:
    """Measure a device once, then find, train, quantize and export the most accurate network for its budget."""
    from edgenas.plugins import import_given, load_installed

    load_installed()
    import_given(imports)


def hoisted(words: list[str]) -> list[str]:
    """The words of a command with every ``--import X`` in front, where the options of all commands belong.

    >>> hoisted(["run", "my.yaml", "--import", "blocks.py", "--", "--import"])
    ['--import', 'blocks.py', 'run', 'my.yaml', '--', '--import']
    """
    end = words.index("--") if "--" in words else len(words)
    front: list[str] = []
    rest: list[str] = []
    given = iter(words[:end])
    for word in given:
        if word == "--import":
            value = next(given, None)
            if value is None:  # for the parser to complain about
                rest.append(word)
            else:
                front += [word, value]
        elif word.startswith("--import="):
            front.append(word)
        else:
            rest.append(word)
    return [*front, *rest, *words[end:]]
