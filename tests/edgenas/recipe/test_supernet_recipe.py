"""The section ``supernet`` of a recipe: where it may stand, what follows from the data, and what is wrong with it."""

import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.recipe.supernet import SupernetRecipe
from edgenas.spaces.errors import InputError

MINIMAL = """\
name: demo
data: {name: fashion_mnist}
space: {name: tiny_edge}
device: {name: local-cpu}
budget: {latency_ms: 0.5}
"""


def parse(text: str) -> Recipe:
    return Recipe.parse(MINIMAL + text, "demo.yaml")


def test_one_shot_algorithms_have_a_section_of_their_own() -> None:
    recipe = parse("search: {algorithm: supernet}\n")
    assert recipe.is_one_shot
    assert recipe.supernet is not None
    assert recipe.trials == recipe.supernet.trials
    assert Recipe.parse(recipe.to_yaml()) == recipe
    assert parse("").supernet is None
    assert parse("").trials == 30


def test_training_follows_the_amount_of_data() -> None:
    few, many = (SupernetRecipe().settings(examples) for examples in (300, 1_000_000))
    assert few.batch_size < many.batch_size
    assert few.steps(300) >= 1000
    assert many.steps(1_000_000) == 6000
    assert SupernetRecipe(epochs=2, batch_size=10, random_networks=2).settings(100).steps(100) == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("supernet: {scores: 10}\n", r"line 6: supernet: is there beside search\.algorithm 'auto'.*supernet, tunas"),
        ("search: {algorithm: tunas, trials: 7}\n", r"trials is not used by 'tunas'.*supernet\.trials"),
        ("search: {algorithm: supernet, options: {start: 3}}\n", r"options is not used by 'supernet'"),
        ("search: {algorithm: supernet, screen: 20}\n", r"screen is not used by 'supernet'"),
        ("search: {algorithm: supernett}\n", r"unknown algorithm 'supernett'.*supernet, tunas"),
        ("search: {algorithm: supernet}\nsupernet: {epochs: 0}\n", r"supernet: epochs must be at least 1"),
        ("search: {algorithm: supernet}\nsupernet: {learning_rate: 0}\n", r"learning_rate must be above 0"),
        ("search: {algorithm: supernet}\nsupernet: {batches: 3}\n", r"supernet\.batches: unknown key"),
        ("search: {algorithm: supernet}\nsupernet: {controller: {delay: 0.5}}\n", r"controller is of .*'tunas'"),
        ("search: {algorithm: tunas}\nsupernet: {controller: {delay: 1}}\n", r"delay must be"),
        ("search: {algorithm: tunas}\nsupernet: {from_run: runs/a}\n", r"from_run needs search\.algorithm 'supernet'"),
    ],
)
def test_wrong_keys_are_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(text)
