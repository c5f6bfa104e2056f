"""Reading YAML with errors that name the file, the key, what was found, what was expected and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import did_you_mean
from edgenas.spaces.yaml_reading import decimal_comma, number_as_key, read_document

CATALOG = Path(__file__).parent / "catalog"
REFERENCES = Path(__file__).parent / "reference"

Scalar = bool | int | float | str | None
#: Nothing in a network (sides, filters, classes) is larger: what is, is a slip of the pen, and would take gigabytes.
MOST_WHOLE = 1_000_000


def catalog_names(folder: Path) -> tuple[str, ...]:
    """Names of the YAML files in a folder, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def read_yaml(path: Path) -> Any:
    """The document in a file. Raises InputError when it cannot be read or is not YAML (see ``yaml_reading``)."""
    return read_document(path).value


@dataclass(frozen=True)
class Entry:
    """A value in a document together with its place, for messages."""

    file: str
    path: str
    value: Any

    def fail(self, expected: str, fix: str = "") -> NoReturn:
        """Raises InputError: ``file: key: found ..., expected .... fix``."""
        found = repr(self.value)
        found = found if len(found) <= 80 else found[:77] + "..."
        fix = fix or decimal_comma(self.value)
        raise InputError(
            f"{self.file}: {self.path or 'document'}: found {found}, expected {expected}" + (f". {fix}" if fix else "")
        )

    def refuse(self, problem: object) -> NoReturn:
        """Raises InputError with a problem that says everything itself."""
        raise InputError(f"{self.file}: {self.path or 'document'}: {problem}") from None

    def mapping(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Entry]:
        """The entries of a mapping that has the required keys and no unknown ones."""
        entries = self.any_mapping()
        known = required + optional
        for key in entries:
            if key not in known:
                near = did_you_mean(key, known)
                entries[key].refuse(
                    f"unknown key {key!r}, expected one of {', '.join(known)}{near or '. Remove or rename it'}"
                )
        for key in required:
            if key not in entries:
                self.refuse(f"the key {key!r} is missing, expected {', '.join(required)}. Add it")
        return entries

    def any_mapping(self) -> dict[str, Entry]:
        """The entries of a mapping with text keys."""
        if not isinstance(self.value, dict):
            self.fail("a mapping with text keys")
        for key in self.value:
            if not isinstance(key, str):
                self.refuse(f"{number_as_key(key)}, expected a mapping with text keys")
        return {key: Entry(self.file, f"{self.path}.{key}".lstrip("."), value) for key, value in self.value.items()}

    def items(self) -> tuple[Entry, ...]:
        """The elements of a list that is not empty."""
        if not isinstance(self.value, list):
            self.fail("a list")
        if not self.value:
            self.fail("a list with at least one element", "Add an element or remove the key")
        return tuple(Entry(self.file, f"{self.path}[{index}]", value) for index, value in enumerate(self.value))

    def items_or_self(self) -> tuple[Entry, ...]:
        """The elements of a list, or a single value as a list of one."""
        return self.items() if isinstance(self.value, list) else (self,)

    def whole(self, least: int = 1, most: int = MOST_WHOLE) -> int:
        """A whole number; ``4e5`` is one, too."""
        value = self.value
        if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.fail(f"a whole number of at least {least}")
        if value > most:
            self.fail(f"a whole number of at most {most:,}")
        return value

    def wholes(self, least: int = 1, most: int = MOST_WHOLE) -> tuple[int, ...]:
        """One whole number or a list of different ones."""
        values = tuple(entry.whole(least, most) for entry in self.items_or_self())
        if len(set(values)) < len(values):
            self.fail("different numbers", "Remove the repeated one")
        return values

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            self.fail("text")
        return self.value

    def scalar(self) -> Scalar:
        """A number, text, yes/no or null."""
        if not isinstance(self.value, (bool, int, float, str, type(None))) or self.value != self.value:
            self.fail("a number, text, true/false or null")
        return self.value
