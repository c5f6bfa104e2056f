"""The default algorithm."""

from edgenas.search.algorithm import Observation, create_algorithm
from edgenas.search.conformance import AlgorithmConformance, grid_problem, grid_quality


class TestAuto(AlgorithmConformance):
    algorithm = "auto"


def test_learns_what_fails_and_keeps_away_from_it() -> None:
    failures = []
    for seed in range(3):
        algorithm = create_algorithm("auto", grid_problem(45, limit=None), seed)
        for number in range(45):
            (choices,) = algorithm.suggest(1)
            fails = choices[0] < 3 or choices[1] == 0  # four of five architectures
            failures.append(fails)
            if fails:
                algorithm.update([Observation(number, choices, "failed")])
            else:
                algorithm.update([Observation(number, choices, "complete", grid_quality(choices))])
    early = [fails for number, fails in enumerate(failures) if number % 45 < 10]
    late = [fails for number, fails in enumerate(failures) if number % 45 >= 30]
    assert sum(early) / len(early) > 0.5
    assert sum(late) / len(late) < 0.3
