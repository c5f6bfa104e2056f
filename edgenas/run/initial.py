"""Where the training of what is shipped begins: at the run's supernet, at random, or at weights of the user's.

``training.initial`` of the recipe says so: ``inherited`` (the default: from the run's supernet where it has one),
``scratch``, ``short`` (the trial's own short training), or the path of a Keras file, a bundle, or a run. Arrays of the
same name and shape are taken; the others are told, and stay random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.recipe.training import INHERITED, SCRATCH, SHORT
from edgenas.run.trial_files import short_weights
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.yaml_reading import read_document
from edgenas.training.archives import check_archive

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.training.initial import InitialWeights

_SHOWN = 4


@dataclass(frozen=True)
class Beginning:
    """Arrays by the name of the variable that begins with them, and where they are from, in words."""

    arrays: Mapping[str, np.ndarray]
    source: str

    def fit(self, network: Network) -> InitialWeights:
        """Which of them fit a network. Raises InputError when none does."""
        from edgenas.export.keras.builder import build_keras
        from edgenas.training.initial import set_initial_weights

        taken = set_initial_weights(build_keras(network), self.arrays)
        if not taken.taken:
            raise InputError(
                f"training.initial: nothing of {self.source} fits this network: {self._words(taken)}. Expected arrays "
                "of the same names and shapes, as networks of the same space have them"
            )
        return taken

    def words(self, taken: InitialWeights) -> str:
        """What became of them."""
        total = len(taken.taken) + len(taken.missing) + len(taken.misfits)
        left = self._words(taken)
        return f"training begins with {len(taken.taken)} of {total} arrays from {self.source}" + (left and f"; {left}")

    def to_json(self, taken: InitialWeights) -> dict[str, Any]:
        """For the record of the training."""
        return {
            "from": self.source,
            "taken": len(taken.taken),
            "missing": list(taken.missing),
            "misfits": list(taken.misfits),
            "unused": list(taken.unused),
        }

    @staticmethod
    def _words(taken: InitialWeights) -> str:
        parts = (
            ("of another shape", taken.misfits),
            ("not given", taken.missing),
            ("not in the network", taken.unused),
        )
        return "; ".join(f"{len(names)} {what} ({_listed(names)})" for what, names in parts if names)


def beginning(context: RunContext, number: int) -> Beginning | None:
    """What the training of a trial's network begins with; None: random weights.

    Raises InputError when the file that the recipe names cannot be read as weights.
    """
    wanted = context.recipe.training.initial
    if wanted == SCRATCH or (wanted == INHERITED and not context.recipe.is_one_shot):
        return None
    if wanted == INHERITED:
        from edgenas.run.supernet import inherited_weights

        with closing(context.open_study()) as study:
            architecture = study.trial(number).architecture
        return Beginning(inherited_weights(context, architecture), "the run's supernet")
    if wanted == SHORT:
        found = short_weights(context, number)
        if found is None:
            context.progress.say(
                f"trial {number}: the weights of its short training were not kept (search.artifacts); training begins "
                "at random"
            )
        return None if found is None else Beginning(found, f"the short training of trial {number}")
    return Beginning(_read(Path(wanted)), wanted)


def check_initial(context: RunContext, networks: Sequence[Network] = ()) -> None:
    """Raises InputError when the recipe names something that cannot hold weights, or none of these networks.

    Weights are of another network when none of their names is that of an op.
    """
    wanted = context.recipe.training.initial
    if wanted in (INHERITED, SCRATCH, SHORT):
        return
    _weights_file(Path(wanted))
    ops = {node.name for network in networks for node in network.graph.nodes}
    if not ops:
        return
    arrays = _read(Path(wanted))
    if not any(name.rpartition("/")[0] in ops for name in arrays):
        raise InputError(
            f"training.initial: nothing of {wanted} fits the networks of this run: it holds "
            f"{_listed(tuple(arrays))}. Expected arrays of the same names and shapes, as networks of the same space "
            "have them"
        )


def _weights_file(path: Path) -> tuple[Path, Path | None]:
    """(file with weights, architecture of the network that they are of; None: the file holds that itself)."""
    if path.suffix == ".keras":
        if not path.is_file():
            raise InputError(f"training.initial: {path}: no such file")
        return path, None
    bundle = path / "bundle" if (path / "bundle" / "architecture.yaml").is_file() else path
    if not (bundle / "architecture.yaml").is_file():
        raise InputError(
            f"training.initial: {path}: expected {INHERITED}, {SCRATCH}, {SHORT}, a .keras file, the bundle of a run, "
            "or a run that has one"
        )
    return _trained_weights(bundle), bundle / "architecture.yaml"


def _trained_weights(bundle: Path) -> Path:
    """The float weights that a bundle was made from: they stay in its run."""
    from edgenas.run.folder import RunFolder
    from edgenas.run.records import ExportRecord

    for run in (bundle.parent, bundle.parent.parent):
        trial = RunFolder(run).read(ExportRecord).trial if (run / "state.json").is_file() else None
        if bundle.name.startswith("trial-") and bundle.name.removeprefix("trial-").isdigit():
            trial = int(bundle.name.removeprefix("trial-"))
        weights = run / "trials" / str(trial) / "final" / "model.weights.h5"
        if trial is not None and weights.is_file():
            return weights
    raise InputError(
        f"training.initial: {bundle}: a bundle holds no float weights, and the run that it is from is not around it; "
        "name the bundle inside its run, or a .keras file"
    )


def _read(path: Path) -> Mapping[str, np.ndarray]:
    from edgenas.export._tensorflow import keras
    from edgenas.export.keras.builder import build_keras
    from edgenas.training.initial import weights_by_name

    weights, architecture = _weights_file(path)
    if architecture is None and weights.is_file():
        check_archive(weights, "training.initial")
    try:
        if architecture is None:
            return weights_by_name(keras().models.load_model(weights, compile=False))
        model = build_keras(Network.from_dict(read_document(architecture, numbers=False).value))
        model.load_weights(weights)
        return weights_by_name(model)
    except InputError:
        raise
    except Exception as error:  # whatever Keras and HDF5 say of a damaged file
        words = " ".join(str(error).split())[:200]
        raise InputError(f"training.initial: {weights}: cannot be read as weights ({words})") from None


def _listed(names: tuple[str, ...]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
