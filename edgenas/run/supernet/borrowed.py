"""Another run's supernet, searched here for another budget without training it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.export.files import write_atomically
from edgenas.run.fingerprints import data_fingerprint, space_fingerprint
from edgenas.run.folder import RunFolder
from edgenas.run.records import SupernetRecord
from edgenas.run.supernet.making import folder, section
from edgenas.run.supernet.trained import read_supernet, weights_path
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


def lender(path: str) -> RunFolder:
    """The run whose supernet is wanted. Raises InputError when it is no run, or has no trained supernet."""
    found = RunFolder(path)
    if not found.recipe_path.is_file():
        raise InputError(
            f"{path}: no run (there is no recipe.yaml in it); name a run with a supernet, such as runs/NAME"
        )
    if not weights_path(found.path / "supernet").is_file():
        algorithm = found.read_recipe().search.algorithm
        raise InputError(
            f"{path}: has no trained supernet (its search.algorithm is {algorithm!r}); finish a run with the algorithm "
            "supernet or tunas first"
        )
    return found


def check_borrowed(context: RunContext) -> None:
    """Whether the other run's supernet is of this run's space and data. Raises InputError naming what differs."""
    if weights_path(folder(context)).is_file():  # taken already
        return
    path = str(section(context).from_run)
    inputs = lender(path).inputs.read()
    if inputs is None:
        raise InputError(f"{path}: holds no inputs.json, so it is not known which space and data it is of")
    found = {
        "space": space_fingerprint(context.space),
        "data": data_fingerprint(context.dataset, context.labels),
    }
    for what, now in found.items():
        if inputs[what]["fingerprint"] != now["fingerprint"]:
            other = "another space" if what == "space" else "other data"
            raise InputError(
                f"supernet.from_run: the supernet of {path} is of {other} "
                f"(fingerprint {inputs[what]['fingerprint']}, here {now['fingerprint']}); take the same, or train one"
            )


def borrow_supernet(context: RunContext) -> None:
    """Copies the other run's trained weights, so that this run needs it no more."""
    source = lender(str(section(context).from_run))
    path = weights_path(source.path / "supernet")
    facts = read_supernet(path).facts
    write_atomically(weights_path(folder(context)), path.read_bytes())
    before = source.read(SupernetRecord)
    context.folder.write(
        replace(
            context.folder.read(SupernetRecord),
            done=True,
            source=str(Path(source.path).resolve()),
            steps=before.steps,
            examples=facts["examples"],
            parameters=facts["parameters"],
            settings=before.settings,
        )
    )
    context.log.event("supernet_taken", source=str(source.path))
    context.progress.say(f"supernet: that of {source.path}, {facts['parameters']:,} shared weights; not trained again")
