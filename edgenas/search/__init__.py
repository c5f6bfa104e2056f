"""Search algorithms: pure functions of a problem, a seed and the finished trials."""

from edgenas.search.algorithm import (
    Algorithm,
    Observation,
    algorithm_class,
    algorithm_names,
    algorithm_options,
    create_algorithm,
    register_algorithm,
)
from edgenas.search.algorithms import auto as _auto  # noqa: F401  (registers)
from edgenas.search.algorithms import layernas as _layernas  # noqa: F401  (registers)
from edgenas.search.algorithms import local_search as _local  # noqa: F401  (registers)
from edgenas.search.algorithms import model_search as _model_search  # noqa: F401  (registers)
from edgenas.search.algorithms import optuna_adapter as _optuna  # noqa: F401  (registers)
from edgenas.search.algorithms import ppo as _ppo  # noqa: F401  (registers)
from edgenas.search.algorithms import random_search as _random  # noqa: F401  (registers)
from edgenas.search.algorithms import regularized_evolution as _evolution  # noqa: F401  (registers)
from edgenas.search.algorithms import reinforce as _reinforce  # noqa: F401  (registers)
from edgenas.search.problem import Problem

__all__ = [
    "Algorithm",
    "Observation",
    "Problem",
    "algorithm_class",
    "algorithm_names",
    "algorithm_options",
    "create_algorithm",
    "register_algorithm",
]
