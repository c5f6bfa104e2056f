"""Decisions, architecture texts, population operations and the exact dynamic programs, on random small spaces."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Architecture, Condition, Decision, check_canonical, parse_architecture
from edgenas.spaces.space.frontier import AdditiveCost, cheapest_architecture, count_architectures
from edgenas.spaces.space.population import Populations

seeds = st.integers(0, 2**32 - 1)


@st.composite
def decision_lists(draw: st.DrawFn) -> tuple[Decision, ...]:
    """Up to six decisions of two or three options with random conditions; option 0 is always valid."""
    decisions: list[Decision] = []
    for index in range(draw(st.integers(1, 6))):
        size = draw(st.integers(2, 3))

        def conditions(index: int = index) -> tuple[Condition, ...]:
            if index == 0 or draw(st.booleans()):
                return ()
            target = draw(st.integers(0, index - 1))
            options = st.sets(st.integers(0, len(decisions[target].options) - 1), min_size=1)
            return (Condition(target, frozenset(draw(options))),)

        active = conditions()
        valid = ((), *(conditions() for _ in range(size - 1))) if draw(st.booleans()) else ()
        decisions.append(Decision(f"d{index}", tuple("abc"[:size]), active, valid))
    return tuple(decisions)


def all_architectures(decisions: tuple[Decision, ...]) -> list[tuple[int, ...]]:
    """By trying every combination of options."""
    found = []
    for choices in itertools.product(*(range(len(decision.options)) for decision in decisions)):
        earlier: list[int] = []
        for choice, decision in zip(choices, decisions, strict=True):
            allowed = decision.allowed(earlier)
            if choice not in (allowed or (0,)):
                break
            earlier.append(choice if allowed else -1)
        else:
            found.append(choices)
    return found


@given(decision_lists())
def test_enumeration_and_size_equal_brute_force(decisions):
    expected = all_architectures(decisions)
    assert [tuple(row) for row in Populations(decisions).enumerate().tolist()] == expected
    assert count_architectures(decisions) == len(expected)


@settings(deadline=None)
@given(decision_lists())
def test_canonical_rows_are_exactly_the_architectures(decisions):
    grid = np.stack(np.meshgrid(*[np.arange(-1, 4)] * len(decisions), indexing="ij"), -1).reshape(-1, len(decisions))
    canonical = {tuple(row) for row in grid[Populations(decisions).is_canonical(grid)].tolist()}
    assert canonical == set(all_architectures(decisions))


@given(decision_lists())
def test_text_reads_back_and_only_canonical_texts_are_read(decisions):
    for choices in all_architectures(decisions):
        check_canonical(choices, decisions)
        architecture = Architecture(choices)
        assert parse_architecture(str(architecture), decisions) == architecture


@given(decision_lists(), st.text("0123456789abz-", max_size=8))
def test_other_texts_are_refused(decisions, text):
    try:
        architecture = parse_architecture(text, decisions)
    except InputError:
        return
    assert architecture.choices in all_architectures(decisions)


@settings(deadline=None)
@given(decision_lists(), seeds)
def test_rows_that_are_no_architectures_are_put_right(decisions, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, [len(decision.options) for decision in decisions], (30, len(decisions))).astype(np.int16)
    repaired = Populations(decisions).crossover(rng, rows, rows)
    assert Populations(decisions).is_canonical(repaired).all()
    kept = Populations(decisions).is_canonical(rows)
    np.testing.assert_array_equal(repaired[kept], rows[kept])
    # Up to its first choice that cannot be, a row stays as it is.
    for before, after in zip(rows.tolist(), repaired.tolist(), strict=True):
        for index, decision in enumerate(decisions):
            if before[: index + 1] == after[: index + 1]:
                continue
            marked = _marked(decisions, after[:index])
            assert before[index] not in decision.allowed(marked)
            break


def _marked(decisions: tuple[Decision, ...], choices: list[int]) -> list[int]:
    """-1 for inactive decisions."""
    marked: list[int] = []
    for choice, decision in zip(choices, decisions, strict=False):
        marked.append(choice if decision.allowed(marked) else -1)
    return marked


@given(decision_lists(), seeds)
def test_populations_stay_canonical_and_repeat_with_the_seed(decisions, seed):
    def run():
        rng = np.random.default_rng(seed)
        first, second = Populations(decisions).sample(rng, 40), Populations(decisions).sample(rng, 40)
        return [
            first,
            second,
            Populations(decisions).mutate(rng, first),
            Populations(decisions).mutate(rng, first, rate=0.5),
            Populations(decisions).crossover(rng, first, second),
        ]

    for one, again in zip(run(), run(), strict=True):
        assert one.dtype == np.int16
        assert Populations(decisions).is_canonical(one).all()
        np.testing.assert_array_equal(one, again)


@given(decision_lists(), seeds)
def test_mutation_changes_an_active_decision_wherever_one_can_change(decisions, seed):
    rng = np.random.default_rng(seed)
    population = Populations(decisions).sample(rng, 40)
    active, free = Populations(decisions).active(population), Populations(decisions).free(population)
    assert not (free & ~active).any()
    for rate in (None, 0.3):
        changed = Populations(decisions).mutate(rng, population, rate) != population
        assert ((changed & active).any(axis=1) == free.any(axis=1)).all()


@given(decision_lists(), seeds)
def test_default_mutation_moves_one_decision_and_only_what_depends_on_it(decisions, seed):
    rng = np.random.default_rng(seed)
    population = Populations(decisions).sample(rng, 40)
    mutated = Populations(decisions).mutate(rng, population)
    for before, after in zip(population.tolist(), mutated.tolist(), strict=True):
        moved = [index for index in range(len(decisions)) if before[index] != after[index]]
        dependent = set(moved[:1])
        for index, decision in enumerate(decisions):
            if any(condition.decision in dependent for condition in decision.conditions()):
                dependent.add(index)
        assert set(moved) <= dependent


@given(decision_lists(), seeds)
def test_children_have_nothing_that_no_parent_has_unless_both_lack_an_answer(decisions, seed):
    rng = np.random.default_rng(seed)
    first, second = Populations(decisions).sample(rng, 40), Populations(decisions).sample(rng, 40)
    child = Populations(decisions).crossover(rng, first, second)
    in_first, in_second = (Populations(decisions).active(parent) for parent in (first, second))
    if not any(decision.valid_when for decision in decisions):
        inherited = (in_first & (child == first)) | (in_second & (child == second))
        assert (inherited | ~(in_first | in_second) | (child == 0)).all()
    same = Populations(decisions).crossover(rng, first, first)
    np.testing.assert_array_equal(same, first)


@given(decision_lists(), seeds)
def test_one_hot_has_a_one_per_active_decision(decisions, seed):
    population = Populations(decisions).sample(np.random.default_rng(seed), 20)
    encoded = Populations(decisions).one_hot(population)
    assert encoded.dtype == np.float32
    assert encoded.shape == (20, sum(len(decision.options) for decision in decisions))
    active = Populations(decisions).active(population)
    start = 0
    for index, decision in enumerate(decisions):
        part = encoded[:, start : start + len(decision.options)]
        np.testing.assert_array_equal(part.sum(axis=1), active[:, index])
        assert (part.argmax(axis=1) == population[:, index]).all()
        start += len(decision.options)


@settings(max_examples=60)
@given(decision_lists(), seeds)
def test_cheapest_equals_brute_force(decisions, seed):
    rng = np.random.default_rng(seed)
    costs = []
    for _ in range(3):
        size = int(rng.integers(0, min(3, len(decisions)) + 1))
        members = tuple(sorted(rng.choice(len(decisions), size, replace=False).tolist()))
        sizes = [len(decisions[member].options) for member in members]
        strides = tuple(int(np.prod(sizes[place + 1 :])) for place in range(size))
        costs.append(AdditiveCost(members, strides, rng.integers(-5, 20, int(np.prod(sizes))).astype(float)))

    def total(choices):
        return sum(
            cost.values[sum(choices[d] * s for d, s in zip(cost.decisions, cost.strides, strict=True))]
            for cost in costs
        )

    everything = all_architectures(decisions)
    architecture, value = cheapest_architecture(decisions, costs)
    assert value == pytest.approx(min(map(total, everything)))
    assert total(architecture.choices) == pytest.approx(value)
    assert architecture.choices in everything


def test_unknown_costs_are_never_chosen():
    decisions = (Decision("a", ("x", "y")),)
    architecture, value = cheapest_architecture(decisions, [AdditiveCost((0,), (1,), np.array([np.nan, 3.0]))])
    assert (architecture.choices, value) == ((1,), 3.0)
    with pytest.raises(InputError, match="no architecture"):
        cheapest_architecture(decisions, [AdditiveCost((0,), (1,), np.array([np.nan, np.nan]))])


def test_sampling_is_uniform_over_allowed_options():
    decisions = (
        Decision("a", ("x", "y")),
        Decision("b", ("p", "q", "r"), valid_when=((), (), (Condition(0, frozenset({1})),))),
    )
    population = Populations(decisions).sample(np.random.default_rng(0), 30_000)
    for first, allowed in ((0, 2), (1, 3)):
        shares = np.bincount(population[population[:, 0] == first, 1], minlength=3) / (population[:, 0] == first).sum()
        np.testing.assert_allclose(shares[:allowed], 1 / allowed, atol=0.02)
        assert not shares[allowed:].any()


def test_a_decision_left_without_options_is_named():
    decisions = (
        Decision("width", ("16", "24")),
        Decision("groups", ("2", "4"), valid_when=((Condition(0, frozenset({0})),) * 1,) * 2),
    )
    with pytest.raises(InputError, match=r"'groups' has no allowed option when width = 24"):
        Populations(decisions).enumerate()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "1 characters, expected one for each of 2"),
        ("0!", "contains '!'"),
        ("03", "no option 3"),
        ("01", r"\(b\) is not asked"),
        ("12", r"option 2 \(r\) is not allowed"),
    ],
)
def test_messages_of_wrong_texts(text, message):
    when = Condition(0, frozenset({1}))
    decisions = (
        Decision("a", ("x", "y")),
        Decision("b", ("p", "q", "r"), (when,), ((), (), (Condition(0, frozenset({0})),))),
    )
    with pytest.raises(InputError, match=message):
        parse_architecture(text, decisions)


def test_wrong_arguments_are_refused():
    rng = np.random.default_rng(0)
    decisions = (Decision("a", ("x", "y")),)
    population = Populations(decisions).sample(rng, 4)
    with pytest.raises(InputError, match="between 0 and 1"):
        Populations(decisions).mutate(rng, population, rate=1.5)
    with pytest.raises(InputError, match="pairs"):
        Populations(decisions).crossover(rng, population, population[:2])
    with pytest.raises(InputError, match="shape"):
        Populations(decisions).is_canonical(np.zeros((2, 3)))
    with pytest.raises(InputError, match="2 to 32767"):
        Decision("a", ("only",))
    with pytest.raises(InputError, match="too many to enumerate"):
        Populations(decisions * 8).enumerate(limit=100)
