"""The steps of a one-shot run around its trials: before them the supernet and its scores, after them the check."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgenas.run.records import RankingRecord
from edgenas.run.supernet.making import SEARCH, folder, section, seed
from edgenas.run.supernet.scores import (
    CHECKED,
    SEARCHED,
    check_rows,
    make_features,
    read_scores,
    score_networks,
    scores_path,
)
from edgenas.run.supernet.train import train_supernet
from edgenas.search.problem import Problem
from edgenas.study.objectives import within
from edgenas.supernet.best_scored import BestScored
from edgenas.supernet.ranking import RankingCheck, check_ranking

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.study.study import Trial

#: Fewer networks than this have no order to speak of.
_FEWEST = 3


def prepare_candidates(context: RunContext) -> None:
    """Trains the supernet of a one-shot run and scores its networks, as far as that is not done."""
    if context.recipe.is_one_shot:
        train_supernet(context)
        score_networks(context)


def make_best_scored(context: RunContext, problem: Problem) -> BestScored:
    """What suggests the trials of a one-shot run."""
    limits, objective = context.limits, context.objective
    scored = [
        one
        for one in read_scores(scores_path(folder(context)))
        if one.purpose == SEARCHED and within(one.costs, limits)
    ]
    return BestScored(
        problem,
        seed(context, SEARCH),
        make_features(context),
        context.space.to_population([context.space.parse(one.architecture) for one in scored]),
        np.array([objective.reward(one.likelihood, one.costs) for one in scored]),
        check_rows(context, problem),
    )


def check_supernet_ranking(context: RunContext, trials: tuple[Trial, ...]) -> None:
    """Compares the order of the scores with that of the trained networks, and says when free baselines do better."""
    if not context.recipe.is_one_shot or context.folder.read(RankingRecord).done:
        return
    scored = read_scores(scores_path(folder(context)))
    scores = {one.architecture: one.likelihood for one in scored}
    checked = {one.architecture for one in scored if one.purpose == CHECKED}
    known = [trial for trial in trials if trial.score is not None and trial.architecture in scores]
    with context.step(RankingRecord):
        whole = _check(context, known, scores)
        random = _check(context, [trial for trial in known if trial.architecture in checked], scores)
        # The trials are the best by their score, so their order says less than that of random networks.
        decisive = random if random.networks >= _FEWEST else whole
        if decisive.networks < _FEWEST:
            words = f"the supernet's ranking cannot be checked on {decisive.networks} trained networks"
        else:
            which = "random networks" if decisive is random else "the best scored networks"
            words = f"ranking of {which}: {decisive.words(context.task.metric)}"
            if section(context).inherits:
                words += "; these trainings began with the supernet's weights, which favours it"
        record = replace(
            context.folder.read(RankingRecord),
            done=True,
            networks=whole.networks,
            tau=whole.tau,
            random_networks=random.networks,
            random_tau=random.tau,
            loses_to=decisive.loses_to if decisive.networks >= _FEWEST else "",
            words=words,
        )
        context.folder.write(record)
        context.log.event("supernet_ranking", tau=dict(decisive.tau), networks=decisive.networks, words=words)
        context.progress.say(words)


def _check(context: RunContext, trials: list[Trial], scores: dict[str, float]) -> RankingCheck:
    if len(trials) < _FEWEST:
        return RankingCheck(len(trials), {})
    rows = context.space.to_population([context.space.parse(trial.architecture) for trial in trials])
    return check_ranking(
        np.array([scores[trial.architecture] for trial in trials]),
        make_features(context).baselines(rows),
        np.array([trial.score for trial in trials]),
    )
