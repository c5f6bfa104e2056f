"""From the written form of a space to decisions and positions: who decides what, where, and when it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgenas.spaces.block import format_value
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Condition, Decision
from edgenas.spaces.space.nodes import BEFORE, NONE, NodeSpec
from edgenas.spaces.space.position import InputSource, Position, PositionChoice, Source
from edgenas.spaces.space.spec import WIDTH_KEYS, BlockChoice, Single, SpaceSpec, Stage, Value, When
from edgenas.spaces.tensor import TensorSpec
from edgenas.spaces.yaml_files import Entry, Scalar


@dataclass
class SpaceBuilder:
    """Walks a spec from the stem over stages and nodes to the head, and collects decisions and positions."""

    spec: SpaceSpec
    inputs: Sequence[tuple[str, TensorSpec]]
    classes: int
    decisions: list[Decision] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)

    def build(self) -> tuple[tuple[Decision, ...], tuple[Position, ...], tuple[str, ...]]:
        """All decisions, the positions in the order of the network, and the names of the outputs."""
        self._end, first = self.inputs[0]
        #: What a name stands for: network inputs, positions, and stages (their last layers).
        self._names = {name: name for name, _ in self.inputs}
        self._known: dict[str, int] = {}
        # The width that ``input_filters`` refers to; None where the block before does not say it.
        self._filters: Source | None = Source((first[-1],)) if len(self.inputs) == 1 else None
        if self.spec.beginning:
            self._single(self.spec.beginning.choice.block.kind, self.spec.beginning)
            self._names[self.inputs[0][0]] = self._end
            self._filters = None
        if self.spec.stem:
            self._single("stem", self.spec.stem)
        for number, stage in enumerate(self.spec.stages, start=1):
            self._stage(f"stage{number}", stage)
        self._names[BEFORE] = self._end
        for node in self.spec.nodes:
            self._node(node)
        kinds = [single.choice.block.kind for single in self.spec.head]
        for index, single in enumerate(self.spec.head):
            suffix = str(kinds[:index].count(kinds[index]) + 1) if kinds.count(kinds[index]) > 1 else ""
            self._single(f"head_{kinds[index]}{suffix}", single)
        return tuple(self.decisions), tuple(self.positions), self._outputs()

    def _outputs(self) -> tuple[str, ...]:
        if not self.positions:
            raise InputError(f"{self.spec.file}: the space has no positions. Add a stem, stages, nodes or a head")
        positions = {position.name for position in self.positions}
        found = []
        for entry in self.spec.outputs:
            name = self._names.get(entry.text())
            if name not in positions:
                entry.fail(f"one of the nodes {', '.join(sorted(positions))}")
            found.append(str(name))
        if len(set(found)) < len(found):
            self.spec.outputs[0].refuse(f"the outputs {', '.join(found)} are not different. Remove the repeated one")
        return tuple(found) or (self._end,)

    def _decide(
        self,
        name: str,
        values: Sequence[Scalar],
        active: tuple[Condition, ...] = (),
        valid: tuple[tuple[Condition, ...], ...] = (),
    ) -> Source:
        """A decision between values, or the shared one of that name; a single value is no decision."""
        if len(values) == 1:
            return Source(tuple(values))
        try:
            decision = Decision(name, tuple(format_value(v) for v in values), active, valid)
        except InputError as error:
            raise InputError(f"{self.spec.file}: {error}") from None
        if name in self._known:
            if _offer(self.decisions[self._known[name]]) != _offer(decision):
                raise InputError(
                    f"{self.spec.file}: nodes that share the decision {name!r} offer different options: found "
                    f"{', '.join(decision.options)}, expected {', '.join(self.decisions[self._known[name]].options)} "
                    "under the same conditions. Offer the same, or share under another name"
                )
            return Source(tuple(values), self._known[name])
        self._known[name] = len(self.decisions)
        self.decisions.append(decision)
        return Source(tuple(values), self._known[name])

    def _stage(
        self,
        name: str,
        stage: Stage,
        inputs: tuple[InputSource, ...] | None = None,
        decided_as: str = "",
        entry: Entry | None = None,
    ) -> None:
        decided_as = decided_as or name
        if name in self._names and entry is not None:
            entry.refuse(f"two positions are named {name!r}. Give one another name")
        filters = self._decide(f"{decided_as}.filters", stage.filters)
        depth = self._decide(f"{decided_as}.depth", stage.depth)
        for index in range(max(stage.depth)):
            presence = None
            if depth.decision is not None and index >= min(stage.depth):
                longer = frozenset(option for option, layers in enumerate(stage.depth) if layers > index)
                presence = Condition(depth.decision, longer)
            choices = stage.layers[min(index, len(stage.layers) - 1)]
            self._position(
                f"{name}_layer{index + 1}",
                choices,
                filters,
                stage.stride if index == 0 else 1,
                presence,
                inputs=inputs if index == 0 else None,
                decided_as=f"{decided_as}_layer{index + 1}",
                entry=entry,
            )
        self._names[name] = self._end

    def _single(self, name: str, single: Single) -> None:
        own = self._decide(f"{name}.filters", single.filters) if single.filters else None
        self._position(name, (single.choice,), own, single.stride, None)

    def _node(self, node: NodeSpec) -> None:
        presence = None
        if node.optional:
            used = self._decide(f"{node.decided_as}.used", (False, True))
            presence = Condition(used.decision or 0, frozenset({1}))
        active = (presence,) if presence else ()
        inputs: list[InputSource] = []
        searched = [number for number, each in enumerate(node.inputs, start=1) if len(each.names) > 1]
        for number, each in enumerate(node.inputs, start=1):
            names = tuple(None if name is None else self._resolved(name, node) for name in each.names)
            label = "input" if len(searched) == 1 else f"input{number}"
            decided = self._decide(f"{node.decided_as}.{label}", each.labels, active)
            inputs.append(InputSource(names, decided.decision))
        if node.optional and None in (inputs[0].names if inputs else ()):
            node.entry.refuse("an optional node passes its first input on, which may be none. Put another one first")
        if node.stage is not None:
            self._stage(node.name, node.stage, tuple(inputs) or None, node.decided_as, node.entry)
            return
        filters = self._decide(f"{node.decided_as}.filters", node.filters, active) if node.filters else None
        self._position(
            node.name,
            node.choices,
            filters,
            None,
            presence,
            inputs=tuple(inputs) or None,
            decided_as=node.decided_as,
            zeros_like=None if node.zeros_like is None else self._resolved(node.zeros_like, node),
            entry=node.entry,
        )

    def _resolved(self, name: str, node: NodeSpec) -> str:
        if name not in self._names:
            node.entry.refuse(
                f"node {node.name!r} reads {name!r}, which does not come before it: expected one of "
                f"{', '.join(name for name in self._names if name != BEFORE)}"
            )
        return self._names[name]

    def _position(
        self,
        name: str,
        choices: Sequence[BlockChoice | None],
        filters: Source | None,
        stride: int | None,
        presence: Condition | None,
        *,
        inputs: tuple[InputSource, ...] | None = None,
        decided_as: str = "",
        zeros_like: str | None = None,
        entry: Entry | None = None,
    ) -> None:
        inputs = inputs or (InputSource((self._end,)),)
        is_chain = inputs == (InputSource((self._end,)),)
        decided_as = decided_as or name
        if name in self._names:
            if entry is not None:
                entry.refuse(f"two positions are named {name!r}. Give one another name")
            raise InputError(f"{self.spec.file}: two positions are named {name!r}. Give the node another name")
        active = (presence,) if presence else ()
        widths = {"filters": filters} if filters else {}
        if is_chain and self._filters is not None:
            widths["input_filters"] = self._filters
        block = self._block_decision(decided_as, choices, widths, active)
        shared: dict[object, Source] = {}
        built = []
        for choice in choices:
            if choice is None:
                built.append(PositionChoice(None, {}))
                continue
            fields: dict[str, Source] = {"filters": filters} if filters and choice.has("filters") else {}
            if stride is not None and choice.has("stride"):
                fields["stride"] = Source((stride,))
            if choice.has("classes"):
                if not self.classes:
                    choice.entry.refuse("the space does not say how many classes there are. Add the key 'classes'")
                fields["classes"] = Source((self.classes,))
            for option, values in choice.options.items():
                if len(values) == 1:
                    if values[0].when:
                        values[0].when[0].entry.refuse("the only option is always offered. Put the condition elsewhere")
                    fields[option] = Source((values[0].value,))
                    continue
                key = _sharing_key(choice, option)
                if key not in shared:
                    users = [i for i, other in enumerate(choices) if other and _sharing_key(other, option) == key]
                    label = option if len(users) == len(choices) else f"{option}({_kinds(choices, users)})"
                    asked = active
                    if block.decision is not None and len(users) < len(choices):
                        asked = (*active, Condition(block.decision, frozenset(users)))
                    valid = tuple(self._conditions(value.when, {**widths, **fields}) for value in values)
                    shared[key] = self._decide(f"{decided_as}.{label}", [value.value for value in values], asked, valid)
                fields[option] = shared[key]
            built.append(PositionChoice(choice.block, fields, choice))
        self.positions.append(Position(name, inputs, block, tuple(built), presence, zeros_like))
        self._names[name] = self._end = name
        self._filters = self._width_after(built, presence, filters)

    def _width_after(
        self, built: Sequence[PositionChoice], presence: Condition | None, filters: Source | None
    ) -> Source | None:
        """The width that a position's blocks are given, where all are given the same."""
        if filters is None and len(built) == 1 and presence is None:
            return built[0].fields.get("filters")
        return filters if all(choice.block and "filters" in choice.fields for choice in built) else None

    def _block_decision(
        self,
        name: str,
        choices: Sequence[BlockChoice | None],
        widths: Mapping[str, Source],
        active: tuple[Condition, ...],
    ) -> Source:
        if len(choices) == 1:
            if choices[0] and choices[0].when:
                choices[0].when[0].entry.refuse("the only block of a place is always offered. Remove the condition")
            return Source((0,))
        valid = tuple(self._conditions(choice.when if choice else (), widths) for choice in choices)
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


def _offer(decision: Decision) -> tuple[object, ...]:
    """What a decision offers; options that are always valid are the same whether that is said of each or of none."""
    return decision.options, decision.active_when, decision.valid_when if any(decision.valid_when) else ()


def _labels(choices: Sequence[BlockChoice | None]) -> list[str]:
    kinds = [choice.block.kind if choice else NONE for choice in choices]
    return [f"{k}#{kinds[:i].count(k) + 1}" if kinds.count(k) > 1 else k for i, k in enumerate(kinds)]


def _kinds(choices: Sequence[BlockChoice | None], users: Sequence[int]) -> str:
    labels = _labels(choices)
    return "+".join(labels[user] for user in users)
