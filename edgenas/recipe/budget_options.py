"""Budgets as options of a command line give them: ``latency_ms=0.3``, ``latency_ms@coral-usb=2``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgenas.recipe.recipe import Recipe
from edgenas.spaces.errors import InputError
from edgenas.spaces.yaml_reading import dump_yaml
from edgenas.study.cost_names import COSTS, DEVICE_COSTS, split_name


def with_budgets(recipe: Recipe, budgets: Sequence[str]) -> Recipe:
    """The same recipe with other budgets; those that are not given stay. Raises InputError as :func:`set_budgets`."""
    values = recipe.model_dump(mode="json")
    set_budgets(values, budgets)
    return Recipe.parse(dump_yaml(values), "--budget")


def set_budgets(values: dict[str, Any], budgets: Sequence[str]) -> None:
    """Changes the budgets in a recipe's plain values.

    Args:
        values: what :meth:`Recipe.model_dump` gives.
        budgets: each ``COST=LIMIT``, or ``COST@DEVICE=LIMIT`` of one of several devices. Several limits of one cost,
            ``latency_ms=0.1,0.2`` or given one after the other, are a list.

    Raises InputError when one is no budget, or names no device of the recipe.
    """
    wanted: dict[tuple[str, str], list[float]] = {}
    for text in budgets:
        cost, device, limits = _budget(text)
        wanted.setdefault((cost, device), []).extend(limits)
    for (cost, device), limits in wanted.items():
        _set_budget(values, cost, device, limits)


def _budget(text: str) -> tuple[str, str, list[float]]:
    """(cost, device or nothing, limits) of ``latency_ms=0.3`` or ``latency_ms=0.1,0.2``."""
    name, equals, value = text.partition("=")
    cost, device = split_name(name.strip())
    try:
        limits = [float(part) for part in value.strip().strip("[]").split(",")]
    except ValueError:
        limits = []
    if not equals or cost not in COSTS or not limits or not all(0 < limit < math.inf for limit in limits):
        raise InputError(
            f"--budget {text!r}: expected COST=LIMIT with a limit above 0, such as latency_ms=0.3, or several, such as "
            f"latency_ms=0.1,0.2; costs are {', '.join(COSTS)}, and COST@DEVICE=LIMIT is for one of several devices"
        )
    return cost, device, limits


def _set_budget(values: dict[str, Any], cost: str, device: str, limits: list[float]) -> None:
    """Changes a recipe's plain values. A cost without a device is limited on all of them."""
    devices = values["devices"]
    known = [values["device"]["name"]] if devices is None else [one["name"] for one in devices]
    if device and device not in known:
        raise InputError(f"--budget: {device!r} is no device of that run, expected one of {', '.join(known)}")
    plain = [int(limit) if cost not in DEVICE_COSTS and limit.is_integer() else limit for limit in limits]
    number = plain[0] if len(plain) == 1 else plain
    if devices is None:
        values["budget"][cost] = number
        return
    for one in devices:
        if device in ("", one["name"]):
            one["budget"][cost] = number
