"""Recipes, search spaces and architectures that are wrong in every way that YAML and people allow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edgenas.recipe.recipe import recipe_template
from edgenas.spaces.references import reference_names
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import space_names
from edgenas.spaces.yaml_files import CATALOG
from faults.hostile_yaml import hostile
from faults.mutations import mutate_bytes, mutate_numbers, mutate_text, mutate_tree
from faults.runner import Job
from faults.scene import Scene

#: One case in so many is run as a real process.
REAL_EVERY = 25


def damaged(text: str, rng: np.random.Generator) -> bytes:
    """A YAML text with a fault: in what it says, in how it is written, in its bytes, or a hostile one."""
    kind = rng.random()
    if kind < 0.6:
        mutate = mutate_numbers if kind < 0.25 else mutate_tree
        tree = mutate(yaml.safe_load(text), rng, int(rng.integers(1, 4)))
        try:
            return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode("utf-8", "replace")
        except (yaml.YAMLError, TypeError, ValueError):  # keys that YAML cannot write
            return repr(tree).encode("utf-8", "replace")
    if kind < 0.8:
        return mutate_text(text, rng, int(rng.integers(1, 5)))
    if kind < 0.86:
        return mutate_bytes(text.encode(), rng, int(rng.integers(1, 4)))
    return hostile(text, rng)


def recipes(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``edgenas search`` of damaged recipes, up to the first training; some change an earlier run's recipe."""
    full = yaml.safe_load(recipe_template())
    short = yaml.safe_load(scene.recipe())
    for key, value in short.items():
        full[key] = full[key] | value if isinstance(value, dict) else value
    full["data"] = short["data"]
    full["space"] = short["space"]
    texts = [scene.recipe(), yaml.safe_dump(full, sort_keys=False)]
    for index in range(count):
        rng, place = np.random.default_rng([seed, 1, index]), folder / str(index)
        place.mkdir(parents=True)
        (place / "recipe.yaml").write_bytes(damaged(texts[index % 2], rng))
        yield Job(
            f"recipes/{index}", ("search", "recipe.yaml", "-o", "run"), place, "accept", real=index % REAL_EVERY == 7
        )


def spaces(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``edgenas spaces show`` and ``sample``, ``describe``, ``profile`` and ``search`` of damaged spaces."""
    texts = [scene.space.read_text(), *(path.read_text() for path in sorted(CATALOG.glob("*.yaml")))]
    commands: tuple[tuple[tuple[str, ...], str], ...] = (
        (("spaces", "show", "space.yaml", "--json"), "none"),
        (("spaces", "sample", "space.yaml", "--count", "3"), "none"),
        (("describe", "space.yaml:" + "0" * 12), "none"),
        (("search", "recipe.yaml", "-o", "run"), "accept"),
        (("spaces", "sample", "space.yaml", "--count", "2", "--json"), "none"),
        (("profile", "--space", "space.yaml", "--device", "edgetpu-sim", "--table", "t.csv"), "none"),
    )
    for index in range(count):
        rng, place = np.random.default_rng([seed, 2, index]), folder / str(index)
        place.mkdir(parents=True)
        argv, stand_in = commands[index % len(commands)]
        # Large spaces take the simulated device honest work of half a minute.
        text = texts[0] if argv[0] == "profile" or rng.random() < 0.7 else texts[int(rng.integers(len(texts)))]
        (place / "space.yaml").write_bytes(damaged(text, rng))
        (place / "recipe.yaml").write_text(scene.recipe(device="edgetpu-sim", space=place / "space.yaml"))
        yield Job(f"spaces/{index}", argv, place, stand_in, real=index % REAL_EVERY == 7)


_DIGITS = (
    "0",
    "1",
    "2",
    "9",
    "-1",
    "a",
    "٣",
    "²",
    ":",
    "/",
    " ",
    ".",
    ",",
    "0" * 50,
    "9" * 5000,
    "猫",
    "\n",
    "\t",
    "\x1b",
    "'",
    "😀",
    "%",
    "+1",
    "1e3",
    "0x1",
    "_",
)


def architectures(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``describe`` and ``build`` of damaged architecture strings, names and ``architecture.yaml`` files."""
    space = SearchSpace.load(scene.space)
    rng = np.random.default_rng([seed, 3])
    whole = [str(space.architecture(row)) for row in space.sample(rng, 20)]
    network = space.decode(space.parse(whole[0]))
    document = network.to_dict() | {"space": space.name, "architecture": whole[0]}
    text = yaml.safe_dump(_plain(document), sort_keys=False)
    names = [str(scene.space), str(scene.space), *space_names(), "tiny_edge"]
    for index in range(count):
        rng, place = np.random.default_rng([seed, 3, index]), folder / str(index)
        place.mkdir(parents=True)
        if index % 2:
            (place / "architecture.yaml").write_bytes(damaged(text, rng))
            arch = "architecture.yaml"
        else:
            arch = _architecture(names, whole, rng)
        argv = ("build", "-o", "m.tflite") if index % 5 == 4 else ("describe", "--json") if index % 3 else ("describe",)
        real = index % REAL_EVERY == 7 and "\x00" not in arch
        yield Job(f"architectures/{index}", (*argv, "--", arch), place, real=real)


def _architecture(names: list[str], whole: list[str], rng: np.random.Generator) -> str:
    if rng.random() < 0.15:
        known = list(reference_names())
        name = known[int(rng.integers(len(known)))]
        return mutate_text(name, rng).decode("utf-8", "replace").replace("\x00", "?")
    name, string = names[int(rng.integers(len(names)))], whole[int(rng.integers(len(whole)))]
    for _ in range(int(rng.integers(1, 4))):
        place, piece = int(rng.integers(len(string) + 1)), _DIGITS[int(rng.integers(len(_DIGITS)))]
        string = string[:place] + piece + string[place + int(rng.integers(3)) :]
    if rng.random() < 0.1:
        name = name[: int(rng.integers(len(name)))] + str(rng.choice(["", "/", "\x00x", "a" * 300, "..", "~zz/x.yaml"]))
    return f"{name}:{string}"


def _plain(value: Any) -> Any:
    """Tuples as lists, so that the plain YAML writer takes it."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def clear(folder: Path) -> None:
    """Removes a case's files, whatever they are."""
    shutil.rmtree(folder, ignore_errors=True)
