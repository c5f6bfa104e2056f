"""How many of the most sensitive layers are kept finer than int8: as few as bring the loss below a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgenas.export.quantization.selective.sensitivity import Judge, Judged, Sensitivity
from edgenas.export.quantization.selective.settings import MixedSettings

if TYPE_CHECKING:
    from edgenas.export.quantization.selective.layers import LayerQuantizer


@dataclass(frozen=True)
class Choice:
    """A file with these layers kept, in the order in which they were added."""

    kept: tuple[int, ...]
    model: bytes
    judged: Judged
    loss: float

    def to_json(self) -> dict[str, Any]:
        return {
            "kept": list(self.kept),
            "score": self.judged.score,
            "sqnr_db": self.judged.sqnr_db,
            "loss": self.loss,
            "size_bytes": len(self.model),
        }


@dataclass(frozen=True)
class Mixed:
    """The choices that were tried, from int8 alone on, and which one is ``taken``."""

    sensitivity: Sensitivity
    choices: tuple[Choice, ...]
    taken: int
    settings: MixedSettings

    @property
    def choice(self) -> Choice:
        return self.choices[self.taken]

    def words(self) -> str:
        """What was found, and whether it helped."""
        settings, choice, plain = self.settings, self.choice, self.choices[0]
        within = f"the limit of {100 * settings.limit:g} points"
        if plain.loss <= settings.limit:
            return (
                f"int8 loses {_points(plain.loss)} on {self.sensitivity.examples:,} examples, within {within}: mixed "
                "precision has nothing to gain, and no layer is kept"
            )
        tried = len(self.choices) - 1
        kept = f"the {len(choice.kept)} most sensitive layers in {settings.keep}"
        if choice.loss <= settings.limit:
            return (
                f"with {kept}, {_points(choice.loss)} are lost, within {within}; int8 alone loses {_points(plain.loss)}"
            )
        if not choice.kept:
            return (
                f"keeping up to {tried} layers in {settings.keep} does not help: int8 loses {_points(plain.loss)}, "
                f"more than {within}, and no choice loses less; int16x8 or int8-qat may"
            )
        return (
            f"mixed precision does not reach {within}: with {kept}, {_points(choice.loss)} are lost, the least of "
            f"{tried} choices; int8 alone loses {_points(plain.loss)}; int16x8 or int8-qat may help"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "keep": self.settings.keep,
            "limit": self.settings.limit,
            "sensitivity": self.sensitivity.to_json(),
            "choices": [choice.to_json() for choice in self.choices],
            "taken": self.taken,
            "words": self.words(),
        }


def _points(loss: float) -> str:
    return f"{100 * loss:.2f} points"


def choose(
    quantizer: LayerQuantizer, judge: Judge, sensitivity: Sensitivity, settings: MixedSettings, *, all_of_them: bool
) -> Mixed:
    """Adds the most sensitive layers one by one until the loss is within the limit; with ``all_of_them``, to the end.

    The first choice within the limit is taken, else the one that loses least.
    """
    order = [layer.index for layer in sensitivity.layers][: settings.layers]
    choices: list[Choice] = []
    for count in range(len(order) + 1):
        kept = tuple(order[:count])
        model = quantizer.quantize(kept, settings.keep)
        judged = sensitivity.int8 if not kept else judge(model)
        choices.append(Choice(kept, model, judged, sensitivity.float_score - judged.score))
        if choices[-1].loss <= settings.limit and not all_of_them:
            break
    within = [place for place, choice in enumerate(choices) if choice.loss <= settings.limit]
    taken = within[0] if within else min(range(len(choices)), key=lambda place: (choices[place].loss, place))
    return Mixed(sensitivity, tuple(choices), taken, settings)
