"""The YAML form of search spaces: what is refused, and with which words."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.spaces import SearchSpace
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.spec import parse_spec

GOOD = """
name: mine
input_shape: [8, 8, 3]
classes: 4
stem: {filters: [8, 16]}
stages:
  - filters: [16, 24]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
          - {block: gc_ibn, expansion: 4, group_size: 32, when: {input_filters: 16}}
head:
  - {block: classifier}
"""


def space(text: str) -> SearchSpace:
    return SearchSpace(parse_spec(yaml.safe_load(text), "mine.yaml"))


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_file_loads(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(changed("depth: [1, 2]", "depth: 1"))
    loaded = SearchSpace.load(path)
    assert [decision.name for decision in loaded.decisions] == [
        "stem.filters",
        "stage1.filters",
        "stage1_layer1.block",
        "stage1_layer1.kernel(ibn)",
        "stage1_layer1.expansion(ibn)",
    ]
    assert loaded.task == "classification"
    assert loaded.size == 2 * (4 + 4 + 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: mine", "nam: mine", "nam: unknown key 'nam', expected one of name"),
        ("name: mine", "name: 3", "name: found 3, expected text"),
        ("classes: 4", "", "the key 'classes' is missing"),
        ("classes: 4", "classes: 0", "classes: found 0, expected a whole number of at least 1"),
        (
            "classes: 4",
            "classes: 4000000000",
            r"classes: found 4000000000, expected a whole number of at most 1,000,000",
        ),
        ("depth: [1, 2]", "depth: [1, 3000]", r"depth\[1\]: found 3000, expected a whole number of at most 200"),
        ("classes: 4", "classes: true", "classes: found True, expected a whole number"),
        ("[8, 8, 3]", "[8, 8]", r"input_shape: found \[8, 8\], expected \[height, width, channels\]"),
        ("{filters: [8, 16]}", "{filters: []}", r"stem.filters: found \[\], expected a list with at least one"),
        ("{filters: [8, 16]}", "{filters: [8, 8]}", r"stem.filters: found \[8, 8\], expected different numbers"),
        ("{filters: [8, 16]}", "{}", "stem: the key 'filters' is missing"),
        ("{filters: [8, 16]}", "8", "stem: found 8, expected a mapping"),
        ("{filters: [8, 16]}", "{filters: 8, kernal: 3}", "stem.kernal: unknown key 'kernal', expected one of"),
        ("filters: [16, 24]", "filters: [16, 24.5]", r"stages\[0\].filters\[1\]: found 24.5, expected a whole number"),
        ("depth: [1, 2]", "depth: [0, 1]", r"stages\[0\].depth\[0\]: found 0, expected a whole number of at least 1"),
        ("block: ibn", "block: ibm", r"stages\[0\].layers\[0\].blocks\[0\].block: unknown block 'ibm'"),
        ("block: ibn", "block: classifier", r"blocks\[0\].kernel: unknown key 'kernel'"),
        ("{block: ibn, kernel: [3, 5], expansion: [2, 4]}", "{kernel: 3}", r"blocks\[0\]: the key 'block' is missing"),
        ("{block: ibn, kernel: [3, 5], expansion: [2, 4]}", "{block: pool}", "block 'pool' has no filters, which"),
        (
            "kernel: [3, 5]",
            "kernel: [3, 4]",
            r"blocks\[0\].kernel: found \[3, 4\], which cannot .* must be one of 1, 3",
        ),
        ("kernel: [3, 5]", "kernel: [3, [5]]", r"kernel\[1\]: found \[5\], expected a number, text"),
        ("kernel: [3, 5]", "kernel: [3, 3]", "kernel: found .*expected different options"),
        ("kernel: [3, 5]", "kernel: .nan", "kernel: found nan, expected a number"),
        ("kernel: [3, 5]", "kernel: [{value: 3, if: 1}, 5]", "unknown key 'if', expected one of value, when"),
        ("expansion: [2, 4]", "expansion: two", "expansion: found 'two', which cannot .* must be a number above 0"),
        ("group_size: 32", "group_size: 30", r"group_size: found 30, .*group_size 30 does not divide 64 expanded"),
        ("group_size: 32, ", "", "give either group_size or groups"),
        ("input_filters: 16}", "input_filters: 17}", "when.input_filters: found 17, expected some of 8, 16"),
        ("input_filters: 16}", "channels: 17}", "unknown key 'channels', expected one of filters, input_filters"),
        (
            "group_size: 32",
            "groups: 3",
            r"blocks\[1\].groups: found 3, .*3 groups do not divide 16 input channels and 64",
        ),
        ("{block: classifier}", "{block: classifier, filters: 8}", r"head\[0\].filters: block 'classifier' has no"),
        ("{block: classifier}", "{block: classifier, hidden: -1}", "hidden must be a whole number of at least 0"),
    ],
)
def test_what_is_wrong_is_named(old, new, message):
    with pytest.raises(InputError, match=message) as caught:
        space(changed(old, new))
    assert str(caught.value).startswith("mine.yaml: ")


def test_widths_where_a_group_size_does_not_divide_are_named():
    text = changed("group_size: 32, when: {input_filters: 16}", "group_size: 32").replace("[16, 24]", "[16, 20]")
    with pytest.raises(
        InputError, match=r"layers\[0\].blocks\[1\].group_size: found 32.*at stage1_layer2.*80 expanded"
    ):
        space(text)


def test_options_that_build_the_same_are_refused():
    with pytest.raises(InputError, match="would have two architectures"):
        space(changed("expansion: [2, 4]", "expansion: [2, 2.1]"))
    with pytest.raises(InputError, match=r"fused_ibn.* and gc_ibn.* build the same on 8x8x16"):
        space(
            changed("{block: ibn, kernel: [3, 5], expansion: [2, 4]}", "{block: fused_ibn, expansion: 4}").replace(
                "group_size: 32", "group_size: 64"
            )
        )


def test_conditions_must_refer_to_something_written_above():
    ok = "{block: gc_ibn, expansion: [2, 4], groups: [2, {value: 4, when: {expansion: 4}}]}"
    late = "{block: gc_ibn, groups: [2, {value: 4, when: {expansion: 4}}], expansion: [2, 4]}"
    old = "{block: gc_ibn, expansion: 4, group_size: 32, when: {input_filters: 16}}"
    assert space(changed(old, ok)).size
    with pytest.raises(InputError, match=r"when.expansion: 'expansion' is no width or option written above"):
        space(changed(old, late))
    with pytest.raises(InputError, match="the only option is always offered"):
        space(changed("group_size: 32", "group_size: [{value: 32, when: {filters: 16}}]"))
    with pytest.raises(InputError, match="the only block of a place is always offered"):
        space(changed("          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}\n", ""))


def test_a_place_that_some_widths_leave_without_a_block_is_refused():
    text = changed("expansion: [2, 4]}", "expansion: [2, 4], when: {input_filters: 16}}")
    with pytest.raises(InputError, match=r"stage1_layer1.block' has no allowed option when stem.filters = 8"):
        space(text)


def test_more_layers_than_the_depth_are_refused():
    layers = "      - blocks: [{block: ibn}]\n" * 2
    with pytest.raises(InputError, match=r"stages\[0\].layers: 3 layers are described but the depth is at most 2"):
        space(GOOD.replace("head:", layers + "head:"))


def test_blocks_with_equal_options_share_a_decision():
    text = changed("{block: gc_ibn, expansion: 4,", "{block: gc_ibn, expansion: [2, 4],")
    names = [decision.name for decision in space(text).decisions]
    assert "stage1_layer1.expansion" in names
    assert "stage1_layer1.kernel(ibn)" in names


def test_unreadable_files_are_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    with pytest.raises(InputError, match="cannot be read"):
        SearchSpace.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        SearchSpace.load(path)
    path.write_text("a: [")
    with pytest.raises(InputError, match="not valid YAML"):
        SearchSpace.load(path)


def _places(node, path=()):
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


_PLACES = sorted(_places(yaml.safe_load(GOOD)), key=str)
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.floats() | st.text(max_size=4) | st.just("ibn"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(_PLACES), junk=_JUNK)
def test_any_damage_is_an_input_error_or_a_space(place, junk):
    document = copy.deepcopy(yaml.safe_load(GOOD))
    if place:
        parent = document
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = junk
    else:
        document = junk
    problem, loaded = "", None
    try:
        loaded = SearchSpace(parse_spec(document, "mine.yaml"))
    except InputError as error:
        problem = str(error)
    assert loaded.size >= 1 if loaded else problem.startswith("mine.yaml: ")
