"""Another run's supernet, searched here for another budget without training it again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.export.files import file_name, write_atomically
from edgenas.recipe.budget_options import set_budgets
from edgenas.recipe.recipe import Recipe
from edgenas.recipe.supernet import ControllerRecipe
from edgenas.run.fingerprints import data_fingerprint, space_fingerprint
from edgenas.run.folder import RunFolder
from edgenas.run.records import SupernetRecord
from edgenas.run.supernet.making import folder, section
from edgenas.run.supernet.trained import read_supernet, weights_path
from edgenas.spaces.errors import InputError
from edgenas.spaces.yaml_reading import dump_yaml

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


def borrowing_recipe(run: Path | str, budgets: Sequence[str]) -> Recipe:
    """The recipe of a run that searches another run's supernet for other budgets.

    All but the budgets is as in the other run, whose latency tables are used too; budgets that are not given stay. No
    random networks are trained to check the ranking again.

    Args:
        run: the folder of the other run.
        budgets: each ``COST=LIMIT``, or ``COST@DEVICE=LIMIT`` of one of several devices. Several limits of one cost,
            ``latency_ms=0.1,0.2`` or given one after the other, are a list: one bundle each.

    Raises InputError when there is no such run, no supernet in it, or a budget is no budget.
    """
    source = lender(str(run))
    recipe = source.read_recipe()
    if not budgets:
        raise InputError("--budget: expected one at least, such as --budget latency_ms=0.3")
    values = recipe.model_dump(mode="json")
    set_budgets(values, budgets)
    for number, budgeted in enumerate(recipe.budgeted_devices):
        table = source.device_table_path(budgeted.name, number)
        if table.is_file():
            (values["device"] if recipe.devices is None else values["devices"][number])["table"] = str(table)
    values["name"] = file_name("-".join([recipe.name, *budgets]))
    values["search"]["algorithm"] = "supernet"
    values["supernet"] |= {"from_run": str(Path(run).resolve()), "controller": ControllerRecipe().model_dump()}
    values["supernet"]["check"] = 0  # the other run has told how well its supernet ranks
    found = Recipe.parse(dump_yaml(values), "--budget")
    return found.relative_to(Path.cwd())


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


def _beyond(trained: Mapping[str, float] | None, limits: Mapping[str, float]) -> str:
    """What to know of a supernet whose networks were trained within other limits; empty when they are not exceeded."""
    if trained is None:
        return ""
    found = [name for name, limit in trained.items() if limits.get(name, math.inf) > limit * (1 + 1e-9)]
    if not found:
        return ""
    names = ", ".join(f"{name} above {trained[name]:.4g}" for name in found)
    return (
        f"supernet: it was not trained on networks with (predicted) {names}, so it ranks those less well; a supernet "
        "for all budgets is trained with supernet.within_budget: false"
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
    if words := _beyond(facts.get("within"), context.limits):
        context.progress.say(words)
    context.progress.say(f"supernet: that of {source.path}, {facts['parameters']:,} shared weights; not trained again")
