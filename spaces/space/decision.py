"""Decisions: the named questions of a search space, and architectures, their answers.

A decision has a finite list of options. Conditions on *earlier* decisions say when it is asked at all (activity) and
which of its options may be chosen (validity). A condition on a decision that is itself inactive is false. An inactive
decision is always 0, so that equal networks have equal architectures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.spaces.errors import InputError

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_GROUP = 6
#: Populations hold options in 16 bits.
MAX_OPTIONS = 2**15 - 1
#: A choice as text: one character, or from 36 on its number between dots.
_CHOICE = re.compile(r"[0-9a-z]|\.[1-9][0-9]{1,4}\.")


@dataclass(frozen=True)
class Condition:
    """True when the decision with this index is active and has one of these options."""

    decision: int
    options: frozenset[int]


@dataclass(frozen=True)
class Decision:
    """A named choice between ``options`` (labels).

    All of ``active_when`` must hold for the decision to be asked; all of ``valid_when[i]`` for option ``i`` to be
    allowed (no entry: always allowed).
    """

    name: str
    options: tuple[str, ...]
    active_when: tuple[Condition, ...] = ()
    valid_when: tuple[tuple[Condition, ...], ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= len(self.options) <= MAX_OPTIONS:
            raise InputError(
                f"decision {self.name!r} has {len(self.options)} options: expected 2 to {MAX_OPTIONS} "
                "(a single option is no decision)"
            )
        if self.valid_when and len(self.valid_when) != len(self.options):
            raise InputError(f"decision {self.name!r} needs one validity (may be empty) for each of its options")

    @property
    def always_valid(self) -> bool:
        """Whether every option is allowed whenever the decision is active."""
        return not any(self.valid_when)

    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the decision and of its options."""
        return self.active_when + tuple(condition for option in self.valid_when for condition in option)

    def allowed(self, earlier: Sequence[int] | dict[int, int]) -> tuple[int, ...]:
        """Options that may be chosen after earlier choices, -1 for inactive ones; empty when this one is inactive."""
        if any(earlier[condition.decision] not in condition.options for condition in self.active_when):
            return ()
        if self.always_valid:
            return tuple(range(len(self.options)))
        return tuple(
            option
            for option, conditions in enumerate(self.valid_when)
            if all(earlier[condition.decision] in condition.options for condition in conditions)
        )


@dataclass(frozen=True)
class Architecture:
    """One option index per decision of a search space; inactive decisions are 0.

    The text has one character per decision (0-9, then a-z; options from 36 on as their number between dots), in
    groups of six; that of a space without decisions is a dash.

    >>> str(Architecture((0, 1, 0, 2, 10, 0, 3))), str(Architecture((1, 40))), str(Architecture(()))
    ('0102a0-3', '1.40.', '-')
    """

    choices: tuple[int, ...]

    def __str__(self) -> str:
        texts = [_DIGITS[choice] if choice < len(_DIGITS) else f".{choice}." for choice in self.choices]
        groups = ["".join(texts[start : start + _GROUP]) for start in range(0, len(texts), _GROUP)]
        return "-".join(groups) or "-"


def parse_architecture(text: str, decisions: Sequence[Decision]) -> Architecture:
    """Reads what ``str(architecture)`` wrote; the dashes are optional.

    Raises InputError for a wrong length, an unknown character, an option that does not exist, and for a text that is
    not canonical (see :func:`check_canonical`).
    """
    plain = text.replace("-", "")
    texts = _CHOICE.findall(plain)
    unknown = _CHOICE.sub("", plain)
    if unknown:
        raise InputError(
            f"architecture {text!r} contains {unknown[0]!r}: expected 0-9 and a-z, or a number such as .40."
        )
    if len(texts) != len(decisions):
        raise InputError(
            f"architecture {text!r} has {len(texts)} characters, expected one for each of {len(decisions)} decisions"
        )
    numbers = [int(found[1:-1]) if found.startswith(".") else _DIGITS.index(found) for found in texts]
    short = [found for found, number in zip(texts, numbers, strict=True) if found[0] == "." and number < len(_DIGITS)]
    if short:
        raise InputError(
            f"architecture {text!r} contains {short[0]!r}: an option below {len(_DIGITS)} is one character"
        )
    architecture = Architecture(tuple(numbers))
    check_canonical(architecture.choices, decisions)
    return architecture


def check_canonical(choices: Sequence[int], decisions: Sequence[Decision]) -> None:
    """Raises InputError unless each active decision has an allowed option and each inactive one is 0."""
    if len(choices) != len(decisions):
        raise InputError(f"an architecture of this space has {len(decisions)} choices, not {len(choices)}")
    earlier: list[int] = []
    for index, (choice, decision) in enumerate(zip(choices, decisions, strict=True)):
        if not 0 <= choice < len(decision.options):
            raise InputError(
                f"decision {index} ({decision.name}) has no option {choice}: expected 0 to "
                f"{len(decision.options) - 1} ({', '.join(decision.options)})"
            )
        allowed = decision.allowed(earlier)
        if not allowed and choice:
            raise InputError(
                f"decision {index} ({decision.name}) is not asked after the choices before it: expected 0, not {choice}"
            )
        if allowed and choice not in allowed:
            raise InputError(
                f"decision {index} ({decision.name}): option {choice} ({decision.options[choice]}) is not allowed "
                f"after the choices before it: expected one of {', '.join(map(str, allowed))}"
            )
        earlier.append(choice if allowed else -1)
