"""From the written form of a space to decisions and positions: who decides what, where, and when it is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgenas.spaces.block import Block, format_value
from edgenas.spaces.decision import Condition, Decision
from edgenas.spaces.errors import InputError
from edgenas.spaces.space_spec import WIDTH_KEYS, BlockChoice, SpaceSpec, Stage, Value, When
from edgenas.spaces.yaml_files import Scalar


@dataclass(frozen=True)
class Source:
    """Where a value comes from: the options of a decision, or a constant (``decision`` is None, one value)."""

    values: tuple[Scalar, ...]
    decision: int | None = None


@dataclass(frozen=True)
class PositionChoice:
    """A block that may stand at a position, and the sources of its fields' values."""

    block: type[Block]
    fields: Mapping[str, Source]
    spec: BlockChoice


@dataclass(frozen=True)
class Position:
    """A place in the network. ``block`` picks among ``choices``; ``presence`` must hold for the place to exist."""

    name: str
    sides: tuple[int, int]
    input_filters: Source
    block: Source
    choices: tuple[PositionChoice, ...]
    presence: Condition | None = None

    def decisions(self) -> set[int]:
        """Indices of the decisions that are referred to here."""
        sources = [self.input_filters, self.block, *(s for choice in self.choices for s in choice.fields.values())]
        found = {source.decision for source in sources if source.decision is not None}
        return found | ({self.presence.decision} if self.presence else set())


@dataclass
class SpaceBuilder:
    """Walks a spec from the stem to the head and collects decisions and positions."""

    spec: SpaceSpec
    input_shape: tuple[int, int, int]
    classes: int
    decisions: list[Decision] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)

    def build(self) -> tuple[tuple[Decision, ...], tuple[Position, ...]]:
        """All decisions, and the positions in the order of the network."""
        height, width, channels = self.input_shape
        self._sides = (height, width)
        self._filters = Source((channels,))
        self._single("stem", self.spec.stem.choice, self.spec.stem.filters, self.spec.stem.stride)
        for number, stage in enumerate(self.spec.stages, start=1):
            self._stage(f"stage{number}", stage)
        kinds = [single.choice.block.kind for single in self.spec.head]
        for index, single in enumerate(self.spec.head):
            suffix = str(kinds[:index].count(kinds[index]) + 1) if kinds.count(kinds[index]) > 1 else ""
            self._single(f"head_{kinds[index]}{suffix}", single.choice, single.filters, single.stride)
        return tuple(self.decisions), tuple(self.positions)

    def _decide(
        self,
        name: str,
        values: Sequence[Scalar],
        active: tuple[Condition, ...] = (),
        valid: tuple[tuple[Condition, ...], ...] = (),
    ) -> Source:
        if len(values) == 1:
            return Source(tuple(values))
        try:
            self.decisions.append(Decision(name, tuple(format_value(v) for v in values), active, valid))
        except InputError as error:
            raise InputError(f"{self.spec.file}: {error}") from None
        return Source(tuple(values), len(self.decisions) - 1)

    def _stage(self, name: str, stage: Stage) -> None:
        filters = self._decide(f"{name}.filters", stage.filters)
        depth = self._decide(f"{name}.depth", stage.depth)
        for index in range(max(stage.depth)):
            presence = None
            if depth.decision is not None and index >= min(stage.depth):
                longer = frozenset(option for option, layers in enumerate(stage.depth) if layers > index)
                presence = Condition(depth.decision, longer)
            choices = stage.layers[min(index, len(stage.layers) - 1)]
            self._position(f"{name}_layer{index + 1}", choices, filters, stage.stride if index == 0 else 1, presence)

    def _single(self, name: str, choice: BlockChoice, filters: tuple[int, ...], stride: int | None) -> None:
        own = self._decide(f"{name}.filters", filters) if filters else None
        self._position(name, (choice,), own, stride, None)

    def _position(
        self,
        name: str,
        choices: Sequence[BlockChoice],
        filters: Source | None,
        stride: int | None,
        presence: Condition | None,
    ) -> None:
        active = (presence,) if presence else ()
        widths = {"input_filters": self._filters} | ({"filters": filters} if filters else {})
        block = self._block_decision(name, choices, widths, active)
        shared: dict[object, Source] = {}
        built = []
        for choice in choices:
            fields: dict[str, Source] = {"filters": filters} if filters else {}
            if stride is not None and choice.has("stride"):
                fields["stride"] = Source((stride,))
            if choice.has("classes"):
                fields["classes"] = Source((self.classes,))
            for option, values in choice.options.items():
                if len(values) == 1:
                    if values[0].when:
                        values[0].when[0].entry.refuse("the only option is always offered. Put the condition elsewhere")
                    fields[option] = Source((values[0].value,))
                    continue
                key = _sharing_key(choice, option)
                if key not in shared:
                    users = [i for i, other in enumerate(choices) if _sharing_key(other, option) == key]
                    label = option if len(users) == len(choices) else f"{option}({_kinds(choices, users)})"
                    asked = active
                    if block.decision is not None and len(users) < len(choices):
                        asked = (*active, Condition(block.decision, frozenset(users)))
                    valid = tuple(self._conditions(value.when, {**widths, **fields}) for value in values)
                    shared[key] = self._decide(f"{name}.{label}", [value.value for value in values], asked, valid)
                fields[option] = shared[key]
            built.append(PositionChoice(choice.block, fields, choice))
        self.positions.append(Position(name, self._sides, self._filters, block, tuple(built), presence))
        steps = stride if stride is not None else getattr(choices[0].block, "stride", 1)
        self._sides = (math.ceil(self._sides[0] / steps), math.ceil(self._sides[1] / steps))
        self._filters = filters or self._filters

    def _block_decision(
        self,
        name: str,
        choices: Sequence[BlockChoice],
        widths: Mapping[str, Source],
        active: tuple[Condition, ...],
    ) -> Source:
        if len(choices) == 1:
            if choices[0].when:
                choices[0].when[0].entry.refuse("the only block of a place is always offered. Remove the condition")
            return Source((0,))
        valid = tuple(self._conditions(choice.when, widths) for choice in choices)
        source = self._decide(f"{name}.block", _labels(choices), active, valid)
        return Source(tuple(range(len(choices))), source.decision)

    @staticmethod
    def _conditions(when: Sequence[When], sources: Mapping[str, Source]) -> tuple[Condition, ...]:
        conditions = []
        for part in when:
            if part.key not in sources:
                part.entry.refuse(f"{part.key!r} is no width or option written above. Write that option first")
            source = sources[part.key]
            options = frozenset(i for i, value in enumerate(source.values) if value in part.values)
            if not options:
                part.entry.fail(
                    f"some of {', '.join(format_value(value) for value in source.values)}", "It would never be offered"
                )
            if len(options) < len(source.values) and source.decision is not None:
                conditions.append(Condition(source.decision, options))
        return tuple(conditions)


def _sharing_key(choice: BlockChoice, option: str) -> object:
    """Blocks with the same options for a field share its decision, so that changing the block keeps the answer."""
    values: tuple[Value, ...] = choice.options.get(option, ())
    whens = [when for value in values for when in value.when]
    private = id(choice) if any(when.key not in WIDTH_KEYS for when in whens) else None
    described = tuple((v.value, type(v.value) is bool, tuple((w.key, w.values) for w in v.when)) for v in values)
    return option, described, private


def _labels(choices: Sequence[BlockChoice]) -> list[str]:
    kinds = [choice.block.kind for choice in choices]
    return [f"{k}#{kinds[:i].count(k) + 1}" if kinds.count(k) > 1 else k for i, k in enumerate(kinds)]


def _kinds(choices: Sequence[BlockChoice], users: Sequence[int]) -> str:
    labels = _labels(choices)
    return "+".join(labels[user] for user in users)
