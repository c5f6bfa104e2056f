"""Section ``search`` of a recipe: how candidates are chosen and compared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edgenas.recipe.artifacts import ArtifactRecipe
from edgenas.recipe.learning import KeptWeightsRecipe, Transfer
from edgenas.recipe.section import Section
from edgenas.recipe.supernet import ONE_SHOT, unused_keys
from edgenas.recipe.training import ShortTraining
from edgenas.search.algorithm import algorithm_class, algorithm_options
from edgenas.spaces.errors import InputError
from edgenas.study.evaluators import SHORT_TRAINING, evaluator_options

_TRIALS = 30


class SearchRecipe(Section):
    """How candidates are chosen and compared."""

    algorithm: str = Field(
        default="auto",
        description="auto: a Gaussian process that learns which decisions matter. Or layernas, model_search, "
        "regularized_evolution, local_search, reinforce, ppo, random, tpe, nsga2; with the extra edgenas[gp] also gp "
        "and hypervolume; or one you installed. supernet: trains one network that holds all of the space, and searches "
        "that; tunas: a controller learns along with it. Both have the section supernet.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the algorithm, e.g. {population: 12, tournament: 4} for regularized_evolution.",
    )
    screen: int | None = Field(
        default=None,
        ge=2,
        description="Suggestions that a model of the finished trials compares for each candidate that is trained, e.g. "
        "20; for algorithms without a model of their own. null: every suggestion is trained.",
    )
    early_stopping: Literal["none", "median", "successive_halving", "hyperband", "extrapolation"] = Field(
        default="none",
        description="Ends the training of a candidate that falls behind earlier ones, judged after every epoch: by "
        "Optuna's pruners, or by extrapolating its learning curve. Of use from about 5 epochs on.",
    )
    trials: int = Field(
        default=_TRIALS,
        ge=1,
        description="Candidates to train and compare; supernet and tunas have supernet.trials instead.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        description="Candidates trained at once, each in its own process on its share of the CPU's cores. One gives "
        "the same search for the same seed; several do, unless a trial takes longer than the 2 * workers - 1 after it.",
    )
    study: str | None = Field(
        default=None,
        description="Where the trials are kept while the search runs, so that workers on other machines share it: "
        "postgresql://, mysql:// or grpc://HOST:PORT of `edgenas serve`; --study sets it. null: study.db of the run.",
    )
    time_limit_seconds: float | None = Field(
        default=None,
        gt=0,
        description="A candidate that takes longer fails, and its process is ended; null: ten times the slowest trial "
        "so far, at least 2 minutes, and an hour before any has finished.",
    )
    latency_margin: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Share of the latency and energy budgets kept free, because predictions err.",
    )
    evaluator: str = Field(
        default=SHORT_TRAINING,
        description="How candidates are judged: short_training trains each as `training` says; or one that you "
        "registered in a plug-in or installed.",
    )
    evaluator_options: dict[str, Any] = Field(default_factory=dict, description="Options of an evaluator of yours.")
    training: ShortTraining = Field(
        default_factory=ShortTraining, description="Short training that candidates are compared after."
    )
    transfer: Transfer = Field(
        default="off",
        description="What a new candidate begins with, where names and shapes fit; the rest is random. Weights of the "
        "previous trial, of its parent (the nearest finished one), of the best; or averages of all that are kept: "
        "uniform_average, loss_weighted.",
    )
    kept_weights: KeptWeightsRecipe = Field(
        default_factory=KeptWeightsRecipe, description="What of the trials' weights stays on the disk for that."
    )
    finalists: int = Field(
        default=3,
        ge=1,
        description="The best so many candidates that keep the budget when measured are trained longer and compared "
        "again before one is chosen. 1: the best after the short training is taken.",
    )
    finalist_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of the final training's epochs (and of its max_steps) that each finalist is trained for.",
    )
    artifacts: ArtifactRecipe = Field(
        default_factory=ArtifactRecipe, description="Weights and other files that the best trials keep."
    )

    @field_validator("study")
    @classmethod
    def _known_study(cls, study: str | None) -> str | None:
        if study is not None:
            from edgenas.study.store import check_url

            try:
                check_url(study)
            except InputError as error:
                raise ValueError(str(error)) from None
        return study

    @model_validator(mode="after")
    def _known_evaluator(self) -> SearchRecipe:
        try:
            evaluator_options(self.evaluator, self.evaluator_options)
        except InputError as error:
            yours = "; name the file of one of yours under plugins, or with --import"
            raise ValueError(f"{error}{yours if str(error).startswith('unknown') else ''}") from None
        return self

    @model_validator(mode="after")
    def _known_algorithm(self) -> SearchRecipe:
        if self.algorithm in ONE_SHOT:
            trials = 0 if self.trials == _TRIALS else self.trials
            if words := unused_keys(self.algorithm, {"trials": trials, "options": self.options, "screen": self.screen}):
                raise ValueError(words)
            return self
        try:
            algorithm_options(self.algorithm, self.options)
            if missing := algorithm_class(self.algorithm).missing():
                raise InputError(missing)
        except InputError as error:
            also = f", {', '.join(ONE_SHOT)}" if str(error).startswith("unknown algorithm") else ""
            raise ValueError(f"{error}{also}") from None
        return self
