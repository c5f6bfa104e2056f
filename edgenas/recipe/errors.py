"""Turns pydantic's findings into messages that name file, line, key, what was found, what is expected, and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

Location = Sequence[int | str]


def explain(error: ValidationError, model: type[BaseModel], text: str, source: str) -> str:
    """One line per problem, in the order of the file."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        root = None
    lines = []
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        line = _line(root, location)
        where = ".".join(str(part) for part in location)
        place = f"{source}, line {line}" if line else source
        lines.append((line or 0, f"{place}: {where + ': ' if where else ''}{_message(dict(problem), model)}"))
    return "\n".join(message for _, message in sorted(lines, key=lambda item: item[0]))


def _message(problem: dict[str, Any], model: type[BaseModel]) -> str:
    location, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        owner = section_at(model, location[:-1])
        keys = list(owner.model_fields) if owner else []
        near = difflib.get_close_matches(str(location[-1]), keys, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key, expected one of {', '.join(keys)}{hint}"
    if kind == "missing":
        return f"is missing; {_wanted(model, location)}"
    if kind in ("model_type", "model_attributes_type"):
        names = ", ".join((section_at(model, location) or model).model_fields)
        return f"found {_shown(problem['input'])}, expected a section with the keys {names}"
    words = problem["msg"].removeprefix("Value error, ")
    words = words[0].lower() + words[1:]
    if kind == "value_error":
        return words
    return f"{words}, found {_shown(problem['input'])}"


def _wanted(model: type[BaseModel], location: Location) -> str:
    owner = section_at(model, location[:-1])
    field = owner.model_fields.get(str(location[-1])) if owner else None
    if field is None:
        return "add it"
    example = (field.examples or [None])[0]
    section = section_at(model, location)
    if section is not None:
        return f"add a section with the keys {', '.join(section.model_fields)}"
    return f"add it, for example {location[-1]}: {example}" if example is not None else "add it"


def section_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """The model of the section at a location, None when there is a plain value."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            return None
        kinds = [field.annotation, *get_args(field.annotation)]
        found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not found:
            return None
        model = found[0]
    return model


def duplicate_key(text: str) -> tuple[str, int] | None:
    """The first key that a mapping of a YAML text has twice, with its line; YAML itself would keep the last."""
    pending = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while pending:
        node = pending.pop()
        if isinstance(node, yaml.MappingNode):
            known: set[str] = set()
            for key, value in node.value:
                if key.value in known:
                    return key.value, key.start_mark.line + 1
                known.add(key.value)
                pending.append(value)
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value
    return None


def _line(node: yaml.Node | None, location: Location) -> int | None:
    """Line (from 1) of the deepest part of a location that is in the file."""
    line: int | None = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
