"""The options with which a model file is chosen and fed, and what they make of the file: one for all verbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.export.input_values import Feed
    from edgenas.export.tflite.entries import Entry

SIGNATURE = typer.Option(None, "--signature", metavar="NAME", help="Which signature or graph, where there are several.")
SHAPE = typer.Option(
    [], "--shape", metavar="NAME=1,224,224,3", help="Shape of an input with open sides; once for each such input."
)
INPUT_RANGE = typer.Option(
    [], "--input-range", metavar="NAME=LO:HI", help="Range of an input's random values, such as tokens=0:1000."
)
INPUT = typer.Option(
    None, "--input", metavar="FILE.npz", help="Values of the inputs: one array per input, by its name."
)


@dataclass(frozen=True)
class ChosenModel:
    """The file as it is to be used: one entry, known shapes. ``notes`` say what was assumed."""

    content: bytes
    entry: Entry
    feeds: tuple[Feed, ...] = ()
    notes: tuple[str, ...] = field(default=())
    #: Whether a side is still open.
    is_open: bool = False

    def to_json(self) -> dict[str, Any]:
        """``{"signature", "inputs": [{"name", "shape", "dtype", ...}], "notes"}``."""
        if self.feeds:
            inputs = [feed.to_json() for feed in self.feeds]
        else:
            inputs = [
                {"name": given.name, "shape": list(given.shape), "dtype": given.dtype} for given in self.entry.inputs
            ]
        return {"signature": self.entry.name, "inputs": inputs, "notes": list(self.notes)}


def choose_model(
    content: bytes,
    *,
    signature: str | None = None,
    shapes: Sequence[str] = (),
    ranges: Sequence[str] = (),
    input_file: Path | None = None,
    is_fed: bool = True,
    keep_open: bool = False,
    shared: Sequence[Entry] = (),
) -> ChosenModel:
    """One entry of a model file with known shapes and what its inputs are fed.

    An open batch (the first side, where all others are known) is 1, and a note says so; other open sides must be given.
    With ``keep_open``, sides that nobody gives stay open: for compilers that refuse such a file. ``is_fed``: whether
    the model is going to be run. ``shared``: entries of all models that the file of inputs is for. Raises InputError
    that names the entries, inputs or open sides.
    """
    from edgenas.export.input_values import make_feeds, parse_range, read_input_file
    from edgenas.export.tflite.entries import choose_entry, model_entries, refuse_what_is_no_number
    from edgenas.export.tflite.shapes import with_entry_first, with_shapes

    entries = model_entries(content)
    entry = choose_entry(entries, signature)
    notes = []
    if len(entries) > 1:
        notes.append(f"entry {entry.name} of {', '.join(other.name for other in entries)}")
        content = with_entry_first(content, entry)
    arrays = {} if input_file is None else read_input_file(input_file)
    arrays = {name: arrays[name] for name in options_of(list(arrays), entry, shared or [entry])}
    wanted = _wanted_shapes(entry, shapes, arrays)
    if is_fed:
        refuse_what_is_no_number(entry)
    missing = [given for given in entry.open_inputs if given.tensor.index not in wanted]
    is_open = keep_open and bool(missing)
    if not is_open:
        for given in missing:
            if not given.has_open_batch_only:
                raise InputError(_refusal(entry))
            wanted[given.tensor.index] = (1, *given.shape[1:])
            notes.append(f"input {given.name} {given.shape} leaves the batch open: taken as 1 (--shape gives another)")
    changed = {
        given.tensor.index: wanted[given.tensor.index]
        for given in entry.inputs
        if given.tensor.index in wanted and (given.tensor.is_open or given.shape != wanted[given.tensor.index])
    }
    if changed and not is_open:
        content = with_shapes(content, changed)
    if changed or len(entries) > 1:
        entry = _again(content, entry)
    feeds: tuple[Feed, ...] = ()
    if is_fed and not is_open:
        feeds = make_feeds(entry, [parse_range(text) for text in ranges], arrays, str(input_file or ""))
    return ChosenModel(content, entry, feeds, tuple(notes), is_open)


def options_of(texts: Sequence[str], entry: Entry, entries: Sequence[Entry]) -> list[str]:
    """Which of NAME or NAME=VALUE are for an entry: a name that only another entry has is not."""
    mine = {name for given in entry.inputs for name in given.names}
    others = {name for other in entries for given in other.inputs for name in given.names} - mine
    return [text for text in texts if (text.rpartition("=")[0] or text) not in others]


def _wanted_shapes(entry: Entry, texts: Sequence[str], arrays: dict[str, Any]) -> dict[int, tuple[int, ...]]:
    from edgenas.export.tflite.entries import find_input
    from edgenas.export.tflite.shapes import check_shape

    wanted = {}
    given = [(name, tuple(values.shape)) for name, values in arrays.items()]
    for name, shape in (*given, *(_parse_shape(text, entry) for text in texts)):
        found = find_input(entry, name)
        check_shape(found, shape)
        wanted[found.tensor.index] = shape
    return wanted


def _parse_shape(text: str, entry: Entry) -> tuple[str, tuple[int, ...]]:
    """``NAME=1,224,224,3`` taken apart; the name of an only input may be left out."""
    name, equals, sides = text.rpartition("=")
    try:
        shape = tuple(int(side) for side in sides.replace("x", ",").strip("()[] ").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1 or (equals and not name):
        raise InputError(f"--shape {text!r}: expected NAME=SIDES with whole numbers from 1, such as image=1,224,224,3")
    if not equals:
        if len(entry.inputs) != 1:
            raise InputError(f"--shape {text!r}: say of which input: NAME={sides}; {_names(entry)}")
        name = entry.inputs[0].name
    return name, shape


def _refusal(entry: Entry) -> str:
    given = entry.open_inputs[0]
    example = ",".join("1" if place == 0 else "N" if side < 0 else str(side) for place, side in enumerate(given.shape))
    told = ", ".join(open_input.describe() for open_input in entry.open_inputs)
    return (
        f"its inputs have open sides (-1): {told}; give them with --shape {given.name}={example}, since a latency is "
        f"that of one shape"
    )


def _names(entry: Entry) -> str:
    return "inputs are " + ", ".join(given.describe() for given in entry.inputs)


def _again(content: bytes, entry: Entry) -> Entry:
    """The entry as it is in the changed file: its graph is the first one."""
    from edgenas.export.tflite.entries import model_entries

    first = next(other for other in model_entries(content) if other.subgraph == 0)
    return first if entry.name in first.names else entry


def print_notes(chosen: ChosenModel, *, is_run: bool = True) -> None:
    """What was assumed, and what was fed where the model was run."""
    for note in chosen.notes:
        print(note)
    for feed in chosen.feeds if is_run else ():
        print(f"fed {feed.describe()}")


def refuse_open(content: bytes) -> None:
    """Raises InputError with what an Edge TPU's compiler says to open sides, and what helps."""
    from edgenas.export.compilers.edgetpu.check import check_edgetpu

    report = check_edgetpu(content)
    raise InputError(f"the Edge TPU compiler would refuse the file: {report.failure}; {report.failure_change}")
