"""What a run was made from, by content: the space by what it decodes to, the data by what is learned from it.

``inputs.json`` of a run holds both, and where its files were, so that a run that was moved or copied with them finds
them again, and a file that was changed in between is not taken for the one that the trials are of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.data.dataset import Split
from edgenas.data.examples import Examples, chunks, leaves
from edgenas.export.files import write_atomically
from edgenas.plugins import is_module
from edgenas.recipe.recipe import Recipe
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.data.task_data import TaskData
    from edgenas.run.folder import RunFolder
    from edgenas.spaces.space.search_space import SearchSpace

#: Grows when the same content gets another fingerprint; those of another method are not compared.
METHOD = 1


def space_fingerprint(space: SearchSpace) -> dict[str, Any]:
    """``{"fingerprint", "decisions": {NAME: options}, "positions": {NAME: fingerprint}}``; names cost nothing.

    Equal for spaces whose architectures decode to the same networks, whatever their files look like.
    """
    decisions = {decision.name: list(decision.options) for decision in space.decisions}
    rules = [
        [sorted((c.decision, sorted(c.options)) for c in decision.active_when)]
        + [sorted((c.decision, sorted(c.options)) for c in option) for option in decision.valid_when]
        for decision in space.decisions
    ]
    blocks: dict[str, list[Any]] = {}
    for table in space.structure:
        slot = table.slot
        entries = [[entry.block.describe(), [str(shape) for shape in entry.input_shapes]] for entry in table.entries]
        known = [list(slot.decisions), table.strides.tolist(), table.index.tolist(), entries]
        blocks.setdefault(table.position, []).append(known)
    positions = {
        position.name: _short(
            [
                [[list(source.names), source.decision] for source in position.inputs],
                position.presence and [position.presence.decision, sorted(position.presence.options)],
                position.zeros_like,
                blocks.get(position.name),
            ]
        )
        for position in space.positions
    }
    inputs = [[name, str(shape)] for name, shape in space.inputs]
    whole = [space.task, inputs, list(space.outputs), list(decisions.items()), rules, list(positions.items())]
    return {"fingerprint": _short(whole), "decisions": decisions, "positions": positions}


def data_fingerprint(data: TaskData, labels: Sequence[str]) -> dict[str, Any]:
    """``{"fingerprint", "parts": {NAME: [words, fingerprint]}}`` of inputs, targets and names, not of files."""
    parts: dict[str, list[str]] = {}
    for part, examples in (("training", data.train), ("test", data.test)):
        parts |= {f"{part} {name}": _column(column) for name, column in _columns(examples)}
    parts["class names"] = [", ".join(labels)[:100], _short(list(labels))]
    return {"fingerprint": _short(parts), "parts": parts}


def _columns(examples: Examples) -> Iterator[tuple[str, Any]]:
    """Labelled images have the names that they had before there were other tasks."""
    if isinstance(examples, Split):
        yield from (("images", examples.images), ("labels", examples.labels))
        return
    yield from ((f"input {name}", column) for name, column in examples.inputs.items())
    targets = leaves(examples.targets)
    yield from ((f"target {index}" if len(targets) > 1 else "targets", column) for index, column in enumerate(targets))


def _column(column: Any) -> list[str]:
    digest = hashlib.blake2b(f"{tuple(column.shape)} {column.dtype.str}".encode(), digest_size=8)
    for part in chunks(column):
        digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return [" x ".join(map(str, column.shape)), digest.hexdigest()]


def _short(values: Any) -> str:
    text = json.dumps(values, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# In the run folder -------------------------------------------------------------------------------------------------


class RunInputs:
    """``inputs.json`` of a run: ``{"format": 1, "method", "space", "data", "paths": {KEY: absolute path}, "recipe"}``.

    ``recipe`` is the text of the recipe that the run was last begun or continued with.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.path = folder.path / "inputs.json"

    def read(self) -> dict[str, Any] | None:
        """The content, None for a run of an older version. Raises InputError when it is damaged."""
        if not self.path.is_file():
            return None
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["format"] != 1 or not all(
                isinstance(found[key]["fingerprint"], str) and isinstance(found[key][parts], dict)
                for key, parts in (("space", "decisions"), ("data", "parts"))
            ):
                raise ValueError("unknown format")
            if not isinstance(found["paths"], dict) or not isinstance(found["space"]["positions"], dict):
                raise ValueError("unknown format")
            if not all(len(part) == 2 for part in found["data"]["parts"].values()):
                raise ValueError("unknown format")
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise InputError(
                f"{self.path}: damaged ({error}), so it is not known which space and data the trials are of; nothing "
                "was changed. Delete it to go on if you know that both are as they were"
            ) from None
        return dict(found)

    def write(self, recipe: Recipe, space: SearchSpace, data: TaskData, labels: Sequence[str]) -> None:
        """Records what a run is made from."""
        document = {
            "format": 1,
            "method": METHOD,
            "space": space_fingerprint(space),
            "data": data_fingerprint(data, labels),
            "paths": recipe.files,
            "recipe": relative_to_run(recipe, self.folder.path).to_yaml(),
        }
        write_atomically(self.path, json.dumps(document, indent=1) + "\n")

    def accept(self, recipe: str) -> None:
        """Records the recipe that the run goes on with; nothing in a run of an older version."""
        known = self.read()
        if known is not None and known.get("recipe") != recipe:
            write_atomically(self.path, json.dumps(known | {"recipe": recipe}, indent=1) + "\n")

    def check(self, space: SearchSpace, data: TaskData, labels: Sequence[str]) -> str | None:
        """Compares the run with what its recipe names now; words for the user when there is nothing to compare with.

        Raises InputError naming both fingerprints and what changed.
        """
        known = self.read()
        if known is None:
            return "this run was begun by a version that kept no fingerprints of space and data; they are not compared"
        if known.get("method") != METHOD:
            return "this run's fingerprints of space and data are of another version; they are not compared"
        for what, found in (("space", space_fingerprint(space)), ("data", data_fingerprint(data, labels))):
            if known[what]["fingerprint"] != found["fingerprint"]:
                changes = _space_changes if what == "space" else _data_changes
                raise InputError(
                    f"{self.folder.path}: {'the space' if what == 'space' else 'the data'} changed since this run "
                    f"began: fingerprint {known[what]['fingerprint']} then, {found['fingerprint']} now "
                    f"({changes(known[what], found)}). Its trials are of the former; restore that to continue, or "
                    "start another run with a new name"
                )
        return None


def _space_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changes = []
    for name in dict.fromkeys((*before["decisions"], *now["decisions"])):
        old, new = before["decisions"].get(name), now["decisions"].get(name)
        if old != new:
            changes.append(f"decision {name!r}: {_options(old)} then, {_options(new)} now")
    for name in dict.fromkeys((*before["positions"], *now["positions"])):
        if before["positions"].get(name) != now["positions"].get(name):
            changes.append(f"other blocks at {name!r}")
    return _listed(changes) or "its rules, task, input shape or order of decisions"


def _options(options: list[str] | None) -> str:
    return "none" if options is None else "/".join(map(str, options))


def _data_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changes = []
    for name, (words, checksum) in before["parts"].items():
        new_words, new_checksum = now["parts"].get(name, ["nothing", ""])
        if checksum != new_checksum:
            same = words == new_words
            changes.append(f"{name}: {'other content' if same else f'{words} then, {new_words} now'}")
    return _listed(changes)


def _listed(changes: list[str]) -> str:
    more = f"; and {len(changes) - 3} more" if len(changes) > 3 else ""
    return "; ".join(changes[:3]) + more


# Paths -------------------------------------------------------------------------------------------------------------


def relative_to_run(recipe: Recipe, folder: Path) -> Recipe:
    """A recipe as it is kept in a run folder: its paths from there, because both may be moved together."""
    here = os.path.realpath(folder)
    plugins = [
        plugin if is_module(plugin) else os.path.relpath(os.path.abspath(plugin), here) for plugin in recipe.plugins
    ]
    files = {key: os.path.relpath(os.path.abspath(value), here) for key, value in recipe.files.items()}
    return recipe.with_files(files).model_copy(update={"plugins": plugins})


def with_found_paths(recipe: Recipe, folder: Path, known: Mapping[str, Any] | None) -> Recipe:
    """The recipe of a run folder with absolute paths: from the folder, or where they were when the run began."""
    paths = {}
    here = os.path.realpath(folder)
    for key, value in recipe.files.items():
        found = os.path.normpath(os.path.join(here, value))
        before = (known or {}).get("paths", {}).get(key)
        if not os.path.exists(found) and isinstance(before, str) and os.path.exists(before):
            found = before
        paths[key] = found
    plugins = [
        plugin if is_module(plugin) else os.path.normpath(os.path.join(here, plugin)) for plugin in recipe.plugins
    ]
    return recipe.with_files(paths).model_copy(update={"plugins": plugins})
