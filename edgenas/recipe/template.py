"""Writes a recipe with comments from the models themselves, so that it never says anything else than they do."""

from __future__ import annotations

import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edgenas.recipe.errors import section_of
from edgenas.spaces.yaml_reading import dump_yaml

WIDTH = 110
HEADER = """\
# A recipe for EdgeNAS. Every key is here with its default; only name, data, space, device and budget are needed.
# Paths are relative to this file, except `output`, which is relative to where the command runs.
"""


def template(model: type[BaseModel]) -> str:
    """YAML text with every key of a model in order, each under its description."""
    return HEADER + "\n" + "\n".join(_lines(model, indent=0)) + "\n"


def _lines(model: type[BaseModel], indent: int) -> list[str]:
    lines: list[str] = []
    space = " " * indent
    for name, field in model.model_fields.items():
        section = None if "tuple" in str(field.annotation) else section_of(field.annotation)
        if (
            section is not None
            and isinstance(field.json_schema_extra, dict)
            and field.json_schema_extra.get("commented")
        ):
            lines += ["", *_comment(field.description or "", space)]
            lines += [f"# {line}".rstrip() for line in (f"{space}{name}:", *_lines(section, indent + 2))]
        elif section is not None:
            lines += ["", *_comment(field.description or (section.__doc__ or "").strip().splitlines()[0], space)]
            lines += [f"{space}{name}:", *_lines(section, indent + 2)]
        else:
            lines += [*_comment(field.description or "", space), f"{space}{name}: {_value(field)}"]
    return lines


def _comment(text: str, space: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{space}# ", subsequent_indent=f"{space}# ")


def _value(field: FieldInfo) -> str:
    value: Any = field.examples[0] if field.examples else field.get_default(call_default_factory=True)
    value = list(value) if isinstance(value, tuple) else value
    text = dump_yaml(value, flow=True, width=10_000)
    return text.removesuffix("...\n").strip()
