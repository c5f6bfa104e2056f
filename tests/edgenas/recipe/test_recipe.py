"""Recipes: the template is the defaults, wrong ones are explained, right ones survive writing and reading."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgenas.data.augmentation import Augmentation
from edgenas.recipe.recipe import Recipe, recipe_template
from edgenas.spaces.errors import InputError
from edgenas.training.settings import TrainingSettings

MINIMAL = """\
name: demo
data: {name: fashion_mnist}
space: {name: tiny_edge}
device: {name: local-cpu}
budget: {latency_ms: 0.5}
"""


def parse(text: str) -> Recipe:
    return Recipe.parse(text, "demo.yaml")


def test_the_template_holds_every_key_with_its_default() -> None:
    template = Recipe.parse(recipe_template())
    minimal = parse(MINIMAL.replace("demo", "my-run").replace("0.5", str(template.budget.latency_ms)))
    assert template == minimal
    written, defaults = yaml.safe_load(recipe_template()), template.model_dump(mode="json")
    assert without_comments(written) == without_comments(defaults)


def without_comments(section: Any) -> Any:
    """Without the sections that are nothing where they are not asked for, which the template has as comments."""
    if not isinstance(section, dict):
        return section
    commented = ("supernet", "distillation", "progressive", "finalize")
    return {name: without_comments(value) for name, value in section.items() if name not in commented}


def test_the_template_holds_the_section_of_one_shot_algorithms_as_comments() -> None:
    text = recipe_template().replace("algorithm: auto", "algorithm: tunas")
    lines = text.splitlines()
    first = lines.index("# supernet:")
    last = next(number for number in range(first, len(lines)) if not lines[number])
    section = [line.removeprefix("# ").removeprefix("#") for line in lines[first:last]]
    assert Recipe.parse("\n".join([*lines[:first], *section, *lines[last:]])) == Recipe.parse(text)


def test_the_template_says_what_every_key_means() -> None:
    lines = recipe_template().splitlines()
    for number, line in enumerate(lines):
        if line and not line.lstrip().startswith("#"):
            assert lines[number - 1].lstrip().startswith("#"), f"no comment above {line!r}"
    assert max(map(len, lines)) <= 120


def test_written_recipes_read_back_equal() -> None:
    recipe = parse(MINIMAL + "seed: 5\nsearch: {trials: 7, training: {epochs: 1, images: 100}}\n")
    assert Recipe.parse(recipe.to_yaml()) == recipe


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: demo", "name: demo\nserch: {}", r"demo.yaml, line 2: serch: unknown key.*did you mean 'search'"),
        ("name: demo\n", "", r"demo.yaml: name: is missing; add it, for example name: my-run"),
        ("data: {name: fashion_mnist}", "", r"data: is missing; add a section with the keys name, path"),
        ("{name: fashion_mnist}", "{name: a, path: b}", r"line 2: data: expected exactly one of .* 'name' and 'path'"),
        ("{name: tiny_edge}", "{}", r"line 3: space: expected exactly one"),
        ("{name: tiny_edge}", "tiny_edge", r"line 3: space: found 'tiny_edge', expected a section with the keys name"),
        ("latency_ms: 0.5", "", r"line 5: budget: expected at least one limit, of latency_ms, energy_mj, size_bytes"),
        ("latency_ms: 0.5", "latency_ms: -1", r"budget.latency_ms: input should be greater than 0, found -1"),
        ("latency_ms: 0.5", "latency_ms: .inf", r"budget.latency_ms: .*finite"),
        ("latency_ms: 0.5", "latency_ms: yes", r"budget: key 'latency_ms': found true"),
        ("latency_ms: 0.5", "latency: 0.5", r"budget.latency: unknown key.*did you mean 'latency_ms'"),
        ("name: demo", "name: a/b", r"name: expected letters, digits"),
        ("name: demo", "name: demo\nsearch: {trials: many}", r"line 2: search.trials: .*found 'many'"),
        ("name: demo", "name: demo\nsearch: {algorithm: magic}", r"unknown algorithm 'magic': expected one of"),
        ("name: demo", "name: demo\nsearch: {options: {size: 3}}", r"has no option 'size': expected one of start"),
        ("name: demo", "name: demo\nobjective: {costs: [macs]}", r"'macs', which has no budget"),
        ("name: demo", "name: demo\nname: other", r"line 2: the key 'name' is there twice"),
        ("latency_ms: 0.5", "latency_ms: 0,3", r"budget.3: found the key 3 .* write 0\.3"),
        ("latency_ms: 0.5", "latency_ms: '0,3'", r"found '0,3'; write 0\.3: decimals have a point"),
        ("name: demo", "name: no", r"key 'name': found false.*put it in quotes"),
        ("name: demo", 'name: "a\\0b"', r"key 'name': contains the character U\+0000"),
        ("name: demo", f"name: {'x' * 300}", r"300 bytes, more than the 255"),
        ("name: demo", f"name: demo\nseed: {'9' * 5000}", r"a whole number of 5000 characters"),
        ("name: demo", "name: demo\nversion: 2", r"line 2: version: .*reads recipes up to version 1: update it"),
        ("name: demo", "name: demo\nsearch: {study: 'redis://a'}", r"search.study: .*unknown kind of study 'redis'"),
        ("name: demo", "name: [demo", r"demo.yaml: not valid YAML"),
        ("name: demo", "name: !!python/object/apply:os.system [ls]", r"not valid YAML"),
    ],
)
def test_wrong_recipes_are_explained(old: str, new: str, words: str) -> None:
    text = MINIMAL.replace(old, new)
    assert text != MINIMAL
    with pytest.raises(InputError, match=words):
        parse(text)


@pytest.mark.parametrize("text", ["", "3", "[]", "just words"])
def test_not_a_mapping(text: str) -> None:
    with pytest.raises(InputError, match="a recipe is a mapping"):
        parse(text)


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    with pytest.raises(InputError) as caught:
        parse(MINIMAL + "seed: -1\nsearch: {trials: 0}\n")
    first, second = str(caught.value).splitlines()
    assert "line 6: seed" in first
    assert "line 7: search.trials" in second


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a recipe"):
        Recipe.load(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as a recipe"):
        Recipe.load(tmp_path / "binary.yaml")


def test_numbers_with_exponents_are_numbers_in_options_too() -> None:
    recipe = parse(
        MINIMAL.replace("latency_ms: 0.5", "latency_ms: 5e-1, macs: 4e6")
        + "seed: 1e3\nsearch: {algorithm: regularized_evolution, options: {population: 1e1, tournament: 4}}\n"
    )
    assert recipe.budget.limits == {"latency_ms": 0.5, "macs": 4_000_000}
    assert recipe.seed == 1000
    named = parse(MINIMAL.replace("name: demo", "name: '4e6'"))
    assert Recipe.parse(named.to_yaml()) == named


def test_a_path_of_an_unknown_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(MINIMAL.replace("{name: fashion_mnist}", "{path: ~no_such_user_here/x}"))
    with pytest.raises(InputError, match=r"data\.path: there is no user"):
        Recipe.load(tmp_path / "r.yaml")


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(MINIMAL.replace("{name: tiny_edge}", "{path: mine.yaml}"))
    recipe = Recipe.load(tmp_path / "r.yaml")
    assert recipe.space.spec == str(tmp_path / "mine.yaml")
    assert recipe.output == "runs"


def test_a_data_path_is_never_taken_for_a_name() -> None:
    recipe = parse(MINIMAL.replace("{name: fashion_mnist}", "{path: images}"))
    assert recipe.data.spec == "./images"


def test_the_reward_aims_at_the_latency_budget_unless_told_otherwise() -> None:
    text = MINIMAL.replace("latency_ms: 0.5", "macs: 1000, latency_ms: 0.5")
    assert parse(text).objective_targets == {"latency_ms": 0.5}
    assert parse(text + "objective: {costs: [macs, latency_ms]}").objective_targets == {
        "macs": 1000,
        "latency_ms": 0.5,
    }
    assert parse(MINIMAL.replace("latency_ms: 0.5", "macs: 1000")).objective_targets == {"macs": 1000}


def test_recipes_offer_all_training_settings_with_their_defaults() -> None:
    assert parse(MINIMAL).training.settings() == TrainingSettings()
    changed = "training: {epochs: 5, optimizer: sgd, augmentation: {cutout: 4}}\n"
    expected = TrainingSettings(epochs=5, optimizer="sgd", augmentation=Augmentation(cutout=4))
    assert parse(MINIMAL + changed).training.settings() == expected
    with pytest.raises(InputError, match=r"line 6: training: .*warmup must be in \[0, 1\)"):
        parse(MINIMAL + "training: {warmup: 1.5}\n")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    words = ["demo.yaml"]
    try:
        parse(text)
    except InputError as error:
        words = str(error).splitlines()
    assert words[0].startswith("demo.yaml")


DEVICES = """\
name: demo
data: {name: fashion_mnist}
space: {name: tiny_edge}
devices:
  - {name: local-cpu, threads: 2, table: here.csv, budget: {latency_ms: 0.5, macs: 900}}
  - {name: edgetpu-sim, weight: 0.5, budget: {latency_ms: 0.2, macs: 700}}
"""


def test_several_devices_have_a_budget_and_a_term_each() -> None:
    recipe = parse(DEVICES)
    assert recipe.limits == {"latency_ms@local-cpu": 0.5, "latency_ms@edgetpu-sim": 0.2, "macs": 700}
    assert recipe.objective_targets == {"latency_ms@local-cpu": 0.5, "latency_ms@edgetpu-sim": 0.2}
    objective = recipe.make_objective()
    # On target at one device, a tenth below at the other, whose term counts half.
    costs = {"latency_ms@local-cpu": 0.5, "latency_ms@edgetpu-sim": 0.18}
    assert objective.reward(0.8, costs) == pytest.approx(0.8 - 0.1 * 0.5 * 0.1)
    assert Recipe.parse(recipe.to_yaml()) == recipe
    assert recipe.files == {"devices.0.table": "here.csv"}
    assert recipe.relative_to(Path("/there")).files == {"devices.0.table": "/there/here.csv"}


def test_one_device_reads_as_a_list_of_one() -> None:
    (device,) = parse(MINIMAL).budgeted_devices
    assert (device.name, device.budget.limits, device.weight) == ("local-cpu", {"latency_ms": 0.5}, 1)
    head = MINIMAL.partition("device:")[0]
    listed = parse(head + "devices: [{name: local-cpu, budget: {latency_ms: 0.5}}]")
    assert listed.limits == parse(MINIMAL).limits == {"latency_ms": 0.5}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  - {name: local", "  - {nam: local", r"line 5: devices.0.name: is missing"),
        ("weight: 0.5", "weight: -1", r"line 6: devices.1.weight: .* found -1"),
        ("budget: {latency_ms: 0.2, macs: 700}", "", r"line 6: devices.1.budget: is missing; add a section"),
        ("edgetpu-sim", "local-cpu", r"devices: device 'local-cpu' is there twice"),
        ("name: demo", "name: demo\ndevice: {name: local-cpu}", r"line 2: device: is there beside 'devices'"),
        ("name: demo", "name: demo\nbudget: {macs: 3}", r"line 2: budget: is there beside 'devices'"),
        ("name: demo", "name: demo\nobjective: {costs: [params]}", r"'params', which has no budget"),
        ("weight: 0.5", "wieght: 0.5", r"unknown key.*did you mean 'weight'"),
    ],
)
def test_wrong_lists_of_devices_are_explained(old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(DEVICES.replace(old, new))
