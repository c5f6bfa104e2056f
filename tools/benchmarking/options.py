"""The options that every benchmark takes: ``--data-dir``, ``--seeds``, ``--quick`` and ``--json``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NOT_USED = "taken, as by every benchmark; not used here"


class BenchParser(argparse.ArgumentParser):
    """With ``--quick``, quick settings take the place of defaults. An option that is given keeps its value."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter} | settings)
        self.quick: dict[str, Any] = {}

    def add_common(
        self,
        *,
        quick: Mapping[str, Any],
        seeds: int | None = 1,
        seeds_help: str = "",
        lists: bool = False,
        data_dir: str = NOT_USED,
        needs_data: bool = False,
    ) -> None:
        """Adds the four. ``quick``: values by name of the option's attribute. ``lists``: ``--seeds 0,1,2`` is read too.

        ``data_dir`` says what the folder holds. Without ``seeds``, the benchmark puts in their number itself.
        """
        self.quick = dict(quick)
        words = (seeds_help or "how many seeds") + ("" if seeds is None else f" (default {seeds})")
        if lists:
            words += "; or the seeds themselves with commas: 0,1,2 (one alone: 5,)"
        self.add_argument("--data-dir", type=Path, metavar="DIR", required=needs_data, help=data_dir)
        self.add_argument(
            "--seeds",
            type=seed_list if lists else count,
            default=str(seeds) if lists else seeds,
            metavar="N",
            help=words,
        )
        self.add_argument("--quick", action="store_true", help=f"at most 10 minutes: {_as_options(quick)}")
        self.add_argument("--json", type=Path, metavar="OUT", help="write figures, seeds, settings and claims here")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it; once more with the quick settings where ``--quick`` is among the arguments."""
        found, rest = super().parse_known_args(args, namespace)
        if not (self.quick and found.quick):
            return found, rest
        usual = {name: self.get_default(name) for name in self.quick}
        self.set_defaults(**self.quick)
        try:
            return super().parse_known_args(args, namespace)
        finally:
            self.set_defaults(**usual)


def _as_options(quick: Mapping[str, Any]) -> str:
    shown = []
    for name, value in quick.items():
        option = "--" + name.replace("_", "-")
        shown.append(option if value is True else f"{option} {value or repr('')}")
    return "; ".join(shown) or "fewer of everything"


def count(text: str) -> int:
    """A whole number above 0."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text!r}")
    return int(text)


def counts(text: str) -> tuple[int, ...]:
    """Whole numbers above 0, separated by commas."""
    return tuple(count(word.strip()) for word in text.split(","))


def seed_list(text: str) -> tuple[int, ...]:
    """Seeds from their number, or from a list with commas.

    >>> seed_list("3"), seed_list("4,7"), seed_list("5,")
    ((0, 1, 2), (4, 7), (5,))
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    numbers = [int(word) for word in words if word.isdecimal()]
    if not words or len(numbers) < len(words) or ("," not in text and numbers == [0]):
        expected = "expected how many seeds, or the seeds themselves with commas (0,1,2; one alone: 0,)"
        raise argparse.ArgumentTypeError(f"{expected}, found {text!r}")
    return tuple(numbers) if "," in text else tuple(range(numbers[0]))


def seeds_of(options: argparse.Namespace) -> list[int]:
    """The seeds of a call: those of a list, or as many as were asked for, from ``--seed`` on where there is one."""
    if isinstance(options.seeds, Sequence):
        return list(options.seeds)
    first = getattr(options, "seed", 0)
    return list(range(first, first + options.seeds))


def located(path: Path | str, data_dir: Path | None) -> Path:
    """A file as it was given or, where there is none, as it lies in the data folder."""
    path = Path(path).expanduser()
    inside = data_dir / path if data_dir else path
    return inside if inside.exists() and not path.exists() else path
