"""Short trainings that begin with the weights of a supernet, and a regression over all that is known of networks.

The regression never sees the truth: it is fitted to short trainings, as a search fits it, and smooths their noise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgenas.supernet.families import Families
from edgenas.supernet.features import NetworkFeatures
from edgenas.supernet.inherited import variables_of
from edgenas.supernet.ridge import fit_ridge
from edgenas.supernet.training import SupernetTraining
from supernet_bench.ground import Ground
from supernet_bench.truth import Cache, Training, train_alone
from supernet_bench.ways import Floats, Way

#: Candidates that the cost of what is trained for all of them is shared by.
CANDIDATES = 100
#: Short enough that tens of them cost less than the supernet.
SHORT = Training("1 epoch on 40 %, inherited", 0.4, 1, seed=12, learning_rate=2e-3)


def train_inherited(ground: Ground, training: SupernetTraining, rows: npt.NDArray[np.int16], cache: Cache) -> None:
    """Trains every network from what it inherits; results go to ``cache`` under the name of the training."""
    for row in rows:
        architecture = ground.space.architecture(row)
        if cache.has(SHORT.name, str(architecture)):
            continue
        training.learner.calibrate(training.supernet.plan(architecture))
        initial = variables_of(*training.supernet.decode(architecture))
        cache.put(SHORT.name, str(architecture), train_alone(ground, architecture, SHORT, initial))


def features_of(ground: Ground, rows: npt.NDArray[np.int16]) -> Floats:
    """(N, features) what networks are made of and how large they are."""
    space = ground.space
    params = space.cost_arrays(lambda entry: float(entry.graph.params))
    macs = Families(space, 0).macs
    found = NetworkFeatures(space, lambda some: {"macs": macs(some), "params": space.population_cost(some, params)})
    return found.matrix(rows)


def smoothed(name: str, way: Way, known: Floats, before: float) -> dict[str, Way]:
    """A regression of short trainings on what is known of networks, as a way to rank.

    Args:
        name: of the short trainings.
        way: their results.
        known: (N, features).
        before: processor seconds of a candidate without its short training.

    Returns two: of networks that were trained shortly, and of others, each left out of the fit. For the others, as many
    short trainings as there are networks here are shared by all candidates.
    """
    places, short = np.arange(len(way.scores)), way.scores
    left_out = [
        fit_ridge(known[places != one], short[places != one]).predict(known[one : one + 1])[0] for one in places
    ]
    shared = before + (way.seconds - before) * len(places) / CANDIDATES
    return {
        f"{name}, smoothed": Way(fit_ridge(known, short).predict(known), way.seconds),
        f"{name}, regression on the others": Way(np.array(left_out), shared),
    }
