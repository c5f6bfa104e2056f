"""A model file with one entry and no open side: the same network, as it is run for a signature and shapes that were
chosen. Any device, compiler or reader takes such a file as it takes every other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.export.temporary import temporary_folder
from edgenas.export.tflite.entries import Entry, ModelInput, is_graph_number, model_entries
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.worker import check_worker, worker_environment
from edgenas.spaces.errors import InputError, WorkError

Shape = tuple[int, ...]
_WORKER = ("-m", "edgenas.export.tflite.shape_worker")
_TIMEOUT_SECONDS = 60.0
#: Tensors of more elements than this are no input that anybody feeds.
_MOST_ELEMENTS = 1 << 31


def check_shape(given: ModelInput, shape: Shape) -> None:
    """Raises InputError when an input cannot have a shape."""
    known = given.shape
    fits = len(shape) == len(known) and all(own in (-1, side) for own, side in zip(known, shape, strict=True))
    if not fits:
        raise InputError(f"input {given.name} has the shape {known}, -1 for open sides: {shape} does not fit")
    elements = 1
    for side in shape:
        elements *= side
    if not 0 < elements < _MOST_ELEMENTS:
        raise InputError(
            f"input {given.name} cannot have the shape {shape}: expected sides from 1, below 2^31 elements"
        )


def with_entry_first(model: bytes, entry: Entry) -> bytes:
    """The model with the graph of an entry as its first, which is what runtimes run."""
    number = entry.subgraph
    if number == 0:
        return model
    order = {0: number, number: 0}

    def change(unpacked: Any) -> None:
        graphs = unpacked.subgraphs
        graphs[0], graphs[number] = graphs[number], graphs[0]
        for graph in graphs:
            for operator in graph.operators or ():
                for options in (operator.builtinOptions, getattr(operator, "builtinOptions2", None)):
                    for key, value in vars(options).items() if options is not None else ():
                        if is_graph_number(key):
                            setattr(options, key, order.get(value, value))
        for signature in unpacked.signatureDefs or ():
            signature.subgraphIndex = order.get(signature.subgraphIndex, signature.subgraphIndex)

    return rewrite(model, change)


def with_shapes(model: bytes, shapes: Mapping[int, Shape]) -> bytes:
    """The model whose first graph has inputs of these shapes (by tensor) and no open sides.

    What other tensors then have is worked out by the runtime, in a process of its own. Raises InputError when it
    refuses the shapes, and WorkError when there is no room for temporary files.
    """
    stored = {given.tensor.index: given.tensor.shape for given in model_entries(model)[0].inputs}
    found = _work_out(model, shapes, is_stored=all(stored.get(index) == shape for index, shape in shapes.items()))

    def change(unpacked: Any) -> None:
        for index, tensor in enumerate(unpacked.subgraphs[0].tensors):
            tensor.shapeSignature = None
            if index in shapes:
                tensor.shape = list(shapes[index])
            elif index in found and not _has_content(unpacked, tensor):
                tensor.shape = list(found[index])

    return rewrite(model, change)


def _has_content(unpacked: Any, tensor: Any) -> bool:
    data = unpacked.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _work_out(model: bytes, shapes: Mapping[int, Shape], *, is_stored: bool) -> dict[int, Shape]:
    """Shapes of all tensors by index; none where the runtime cannot tell but the file's own hold."""
    with temporary_folder("shapes") as folder:
        source, out = folder / "model.tflite", folder / "out.json"
        source.write_bytes(model)
        (folder / "job.json").write_text(json.dumps({str(index): list(shape) for index, shape in shapes.items()}))
        command = [sys.executable, *_WORKER, *map(str, (source, folder / "job.json", out))]
        try:
            process = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                env=worker_environment(),
                check=False,
                timeout=_TIMEOUT_SECONDS,
            )
            if not out.is_file():
                check_worker(process.returncode, process.stderr)
        except subprocess.TimeoutExpired:
            if not out.is_file():
                raise InputError(f"the runtime did not take the shapes within {_TIMEOUT_SECONDS:g} s") from None
        except (InputError, WorkError) as error:
            if is_stored:
                return {}
            raise InputError(f"the model does not take {_told(shapes)}: {error}") from None
        return _read(out)


def _told(shapes: Mapping[int, Shape]) -> str:
    return "inputs of shape " + ", ".join(map(str, shapes.values()))


def _read(out: Path) -> dict[int, Shape]:
    found = json.loads(out.read_text())
    return {int(index): tuple(shape) for index, shape in found.items()}
