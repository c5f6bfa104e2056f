"""What all parts of a recipe have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from edgenas.spaces.text import unprintable

_QUOTES = " (YAML takes yes, no, on and off for these: where a word is meant, put it in quotes)"


class Section(BaseModel):
    """A part of a recipe: immutable, no unknown keys, text printable, numbers finite and no yes or no."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key, value in data.items():
                field = cls.model_fields.get(key)
                extra = None if field is None else field.json_schema_extra
                if isinstance(value, bool) and isinstance(extra, dict) and extra.get("switch"):
                    data = {**data, key: {} if value else None}
                    continue
                if value is False and field is not None and "'off'" in str(field.annotation):
                    data = {**data, key: "off"}  # what YAML makes of the word
                    continue
                if isinstance(value, bool) and field is not None and "bool" not in str(field.annotation):
                    raise ValueError(f"key {key!r}: found {str(value).lower()}, expected no true or false{_QUOTES}")
                if isinstance(value, str) and (found := unprintable(value)):
                    raise ValueError(f"key {key!r}: contains {found}; expected one line of printable text")
        return data
