"""Turns pydantic's findings into messages that name file, line, key, what was found, what is expected, and the fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from edgenas.spaces.text import did_you_mean, one_line
from edgenas.spaces.yaml_reading import decimal_comma, number_as_key

Location = Sequence[int | str]


def explain(error: ValidationError, model: type[BaseModel], root: yaml.Node | None, source: str) -> tuple[str, ...]:
    """One line per problem, in the order of the file, whose tree ``root`` is."""
    lines = []
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        line = _line(root, location)
        where = ".".join(str(part) for part in location)
        place = f"{source}, line {line}" if line else source
        message = one_line(f"{place}: {where + ': ' if where else ''}{_message(dict(problem), model)}")
        lines.append((line or 0, message))
    return tuple(message for _, message in sorted(lines, key=lambda item: item[0]))


def _message(problem: dict[str, Any], model: type[BaseModel]) -> str:
    location, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden":
        owner = section_at(model, location[:-1])
        keys = list(owner.model_fields) if owner else []
        return f"unknown key, expected one of {', '.join(keys)}{did_you_mean(location[-1], keys)}"
    if kind == "missing":
        return f"is missing; {_wanted(model, location)}"
    if kind in ("model_type", "model_attributes_type"):
        names = ", ".join((section_at(model, location) or model).model_fields)
        return f"found {_shown(problem['input'])}, expected a section with the keys {names}"
    if kind == "invalid_key":
        return number_as_key(problem["input"])
    words = problem["msg"].removeprefix("Value error, ")
    words = words[0].lower() + words[1:]
    if kind == "value_error":
        return words
    return f"{words}, found {_shown(problem['input'])}{_advice(kind, problem['input'])}"


def _advice(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, (int, float)):
        return "; put it in quotes"
    comma = decimal_comma(value)
    return f"; {comma}" if comma else ""


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
        if isinstance(part, int):  # the section of a list, which is what its key stands for already
            continue
        field = model.model_fields.get(part)
        section = None if field is None else section_of(field.annotation)
        if section is None:
            return None
        model = section
    return model


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation holds, also as ``Section | None`` or as a list of sections."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := section_of(part))), None)


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
