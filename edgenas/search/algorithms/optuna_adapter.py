"""Optuna's samplers as algorithms: theirs is the choice of parameters, ours the exact budget and no repetition.

Every suggestion mirrors the trials into a study in memory and asks a new sampler, seeded for this trial. A draw that
is over the budget or was tried before costs nothing: the sampler draws again, a few times, then the nearest mutant
within the budget is taken. Constraint values of the trials (cost / limit - 1) are exact, so samplers that model
constraints learn from them. Decisions whose labels are numbers are offered as ordered, others as categories.

The multi-objective ones maximise the reward and minimise every cost that is limited, so what they leave is a front.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.search.algorithm import Algorithm, Observation, register_algorithm
from edgenas.search.models.encoding import option_counts
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import feasible_mutant, random_feasible, unseen
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, TrialState

DRAWS = 4
"""How often a sampler draws before its last draw is mutated until it fits."""


class OptunaAlgorithm(Algorithm):
    """Base of the adapters; subclasses make the sampler.

    Attributes:
        multi_objective: whether the costs are minimised beside the reward.
        draws: how often the sampler may draw for one suggestion.
    """

    multi_objective = False
    draws = DRAWS

    def __init__(self, problem: Problem, seed: int, options: Any = None) -> None:
        super().__init__(problem, seed, options)
        reason = self.missing()
        if reason:
            raise InputError(reason)
        self._distributions = _distributions(problem)
        self._mirror: _Mirror | None = None

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """A new sampler; everything it knows, it knows from the study."""

    def propose(self, rng: np.random.Generator) -> Population | None:
        if self._mirror is None:
            self._mirror = _Mirror(self._distributions, 1 + self._cost_count)
        news = self._mirror.news(self.trials)
        self._mirror.update(news, self._values(news), self._constraints(news))
        study, trial = self._mirror.study, self._mirror.next_trial()
        known = self.seen
        row: Population | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = self.sampler(int(rng.integers(2**31)))
            space = sampler.infer_relative_search_space(study, trial)
            for _ in range(self.draws):
                params = dict(sampler.sample_relative(study, trial, space))
                for name, distribution in self._distributions.items():
                    if name not in params:
                        params[name] = sampler.sample_independent(study, trial, name, distribution)
                drawn = np.array([[int(params[name]) for name in self._distributions]], np.int16)
                # A row crossed with itself is the row, with what its choices make inactive or forbid put right.
                row = self.problem.space.crossover(rng, drawn, drawn)[0]
                found = unseen(self.problem, row[None], known, 1)
                if found:
                    return found[0]
        mutant = None if row is None else feasible_mutant(self.problem, rng, row, known)
        if mutant is not None:
            return mutant
        rows = random_feasible(self.problem, rng, known)
        return rows[0] if len(rows) else None

    @property
    def _cost_count(self) -> int:
        return len(self._finite_limits) if self.multi_objective else 0

    @property
    def _finite_limits(self) -> dict[str, float]:
        return {name: limit for name, limit in self.problem.limits.items() if math.isfinite(limit)}

    def _costs(self, trials: list[Observation]) -> np.ndarray:
        """(N, limited costs) costs relative to their limits."""
        limits = self._finite_limits
        if not limits or not trials:
            return np.zeros((len(trials), 0))
        costs = self.problem.costs(np.array([trial.choices for trial in trials], np.int16))
        return np.stack([np.asarray(costs[name]) / limit for name, limit in limits.items()], axis=1)

    def _values(self, trials: list[Observation]) -> list[list[float]]:
        costs = self._costs(trials) if self.multi_objective else np.zeros((len(trials), 0))
        return [[trial.score, *(-cost for cost in row)] for trial, row in zip(trials, costs.tolist(), strict=True)]

    def _constraints(self, trials: list[Observation]) -> list[dict[str, float]]:
        names = [f"limit_{name}" for name in self._finite_limits]
        return [dict(zip(names, (row - 1).tolist(), strict=True)) for row in self._costs(trials)]


def _distributions(problem: Problem) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    counts = option_counts(problem.space)
    decisions = getattr(problem.space, "decisions", None)
    ordered = [True] * len(counts)
    if isinstance(decisions, tuple):
        ordered = [all(_is_number(str(option)) for option in decision.options) for decision in decisions]
    return {
        f"d{index}": IntDistribution(0, count - 1) if is_ordered else CategoricalDistribution(tuple(range(count)))
        for index, (count, is_ordered) in enumerate(zip(counts, ordered, strict=True))
    }


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Mirror:
    """The trials as an Optuna study in memory."""

    def __init__(self, distributions: dict[str, BaseDistribution], objectives: int) -> None:
        self._distributions = distributions
        self._objectives = objectives
        self._begin()

    def _begin(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._storage = _forgetful_storage()
        self.study: Study = optuna.create_study(storage=self._storage, directions=["maximize"] * self._objectives)
        self._known: dict[int, tuple[int, Observation]] = {}

    def news(self, trials: list[Observation]) -> list[Observation]:
        """Those of all trials, which are in the order of their numbers, that the study does not hold as they are."""
        newest = max(self._known, default=-1)
        if any(trial.number < newest and trial.number not in self._known for trial in trials):
            # Samplers look at the order of trials: one that was skipped means to begin anew.
            self._begin()
        known = self._known
        return [trial for trial in trials if trial.number not in known or known[trial.number][1] is not trial]

    def update(self, news: list[Observation], values: list[list[float]], constraints: list[dict[str, float]]) -> None:
        """Adds new trials, and what has become of known ones, in the order of their numbers."""
        for trial, value, constraint in zip(news, values, constraints, strict=True):
            known = self._known.get(trial.number)
            if known is None:
                trial_id = self._storage.create_new_trial(self.study._study_id, self._frozen(trial, value, constraint))
            else:
                trial_id = known[0]
                for name, excess in constraint.items():
                    self._storage.set_trial_system_attr(trial_id, f"constraints:{name}", excess)
                state = self._state(trial)
                self._storage.set_trial_state_values(trial_id, state, value if trial.state == "complete" else None)
            self._known[trial.number] = (trial_id, trial)
        # Samplers read the list that the study remembers since its last `ask`, which nobody calls here.
        self.study._thread_local.cached_all_trials = None

    def next_trial(self) -> FrozenTrial:
        """A trial that is about to be sampled; it is not part of the study."""
        from optuna.trial import TrialState, create_trial

        trial = create_trial(state=TrialState.RUNNING)
        trial.number = len(self._known)
        trial._trial_id = -1
        return trial

    def _state(self, trial: Observation) -> TrialState:
        from optuna.trial import TrialState

        return {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(trial.state, TrialState.RUNNING)

    def _frozen(self, trial: Observation, value: list[float], constraint: dict[str, float]) -> FrozenTrial:
        from optuna.trial import create_trial

        return create_trial(
            state=self._state(trial),
            params=dict(zip(self._distributions, trial.choices, strict=True)),
            distributions=self._distributions,
            values=value if trial.state == "complete" else None,
            constraints=constraint or None,
        )


def _forgetful_storage() -> Any:
    """Storage in memory that ignores what samplers note about a trial that is not in it yet."""
    from optuna.storages import InMemoryStorage

    class Forgetful(InMemoryStorage):
        def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
            if trial_id >= 0:
                super().set_trial_system_attr(trial_id, key, value)

    return Forgetful()


@dataclass(frozen=True)
class TPEOptions:
    """``start``: random trials before the sampler's model takes over; ``multivariate``: model decisions together."""

    start: int = 10
    multivariate: bool = False

    def __post_init__(self) -> None:
        if self.start < 1:
            raise InputError(f"start must be at least 1, found {self.start}")


@register_algorithm("tpe")
class TPE(OptunaAlgorithm):
    """Tree-structured Parzen estimator."""

    Options = TPEOptions

    def sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, n_startup_trials=self.options.start, multivariate=self.options.multivariate)


@dataclass(frozen=True)
class GPOptions:
    """``start``: random trials before the sampler's model takes over."""

    start: int = 10

    def __post_init__(self) -> None:
        if self.start < 1:
            raise InputError(f"start must be at least 1, found {self.start}")


class _GPAlgorithm(OptunaAlgorithm):
    Options = GPOptions
    # A second draw would find the same optimum, slowly.
    draws = 1

    @classmethod
    def missing(cls) -> str | None:
        absent = [name for name in ("torch", "scipy") if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        return f"algorithm {cls.name!r} needs {' and '.join(absent)}: pip install 'edgenas[gp]'"

    def sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, n_startup_trials=self.options.start)


@register_algorithm("gp")
class OptunaGP(_GPAlgorithm):
    """Optuna's Gaussian process with expected improvement; needs the extra ``edgenas[gp]``."""


@register_algorithm("hypervolume")
class Hypervolume(_GPAlgorithm):
    """Expected hypervolume improvement of reward and costs by Gaussian processes; needs ``edgenas[gp]``."""

    multi_objective = True


@dataclass(frozen=True)
class NSGA2Options:
    """``population``: trials of a generation; None: a fifth of all trials, between 8 and 50."""

    population: int | None = None

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 2:
            raise InputError(f"population must be at least 2, found {self.population}")


@register_algorithm("nsga2")
class NSGA2(OptunaAlgorithm):
    """NSGA-II over reward and costs. Parents are the best of all earlier generations."""

    Options = NSGA2Options
    multi_objective = True

    def __init__(self, problem: Problem, seed: int, options: NSGA2Options | None = None) -> None:
        super().__init__(problem, seed, options)
        self._parents: tuple[tuple[int, ...], list[Any]] = ((), [])

    @property
    def population_size(self) -> int:
        return self.options.population or min(max(self.problem.trials // 5, 8), 50)

    def sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIISampler
        from optuna.trial import TrialState

        size, algorithm = self.population_size, self

        class Sampler(NSGAIISampler):
            """Generations by the number of the trial, so that they need not be stored."""

            def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
                return trial.number // size if len(algorithm.complete) >= 2 else 0

            def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
                # All trials have all decisions: nothing to find out.
                return dict(sorted(algorithm._distributions.items())) if algorithm.complete else {}

            def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
                trials = study._get_trials(deepcopy=False, states=[TrialState.COMPLETE])
                earlier = [trial for trial in trials if trial.number // size < generation]
                numbers = tuple(trial.number for trial in earlier)
                if algorithm._parents[0] != numbers:
                    values = -np.array([trial.values for trial in earlier]).reshape(len(earlier), -1)
                    leading = [earlier[place] for place in leading_fronts(values, size)]
                    algorithm._parents = (numbers, self._elite_population_selection_strategy(study, leading))
                return algorithm._parents[1]

        return Sampler(seed=seed, population_size=size)


def leading_fronts(values: np.ndarray, size: int) -> np.ndarray:
    """Rows of the first non-dominated fronts of (N, objectives) minimised values that hold ``size`` rows together.

    Every row of those fronts is among them, in ascending order. Optuna sorts all rows into fronts, which takes a
    minute for 10,000; a selection of the best ``size`` never looks at the others.
    """
    remaining = np.arange(len(values))
    leading: list[int] = []
    while len(remaining) and len(leading) < size:
        front: list[int] = []
        candidates = remaining
        while len(candidates):
            best = candidates[np.lexsort(values[candidates].T[::-1])[0]]
            equal = (values[candidates] == values[best]).all(axis=1)
            front += candidates[equal].tolist()
            candidates = candidates[(values[candidates] < values[best]).any(axis=1)]
        leading += front
        remaining = np.setdiff1d(remaining, front)
    return np.sort(np.array(leading, np.intp))
