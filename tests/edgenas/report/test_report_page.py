"""The report's page and drawing, from data alone: complete, escaped, self-contained, and never an exception."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import ClassVar

import pytest

from edgenas.report.data import ClassMistakes, LatencyPair, ReportData, ShippedModel, TrialPoint, WrongPicture
from edgenas.report.drawing import draw_network
from edgenas.report.page import render_page
from edgenas.report.text import MINUS
from edgenas.spaces import Block
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.network import Network, Node, chain
from edgenas.spaces.ops import Add, Shape

EVIL = "</script><script>alert(1)</script>&<b onclick=\"x\" title='y'>"

PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="

NETWORK = chain(
    "net",
    (28, 28, 1),
    {
        "stem": ConvBnAct(16, 3, 2),
        "grouped": GroupConvInvertedBottleneck(16, 3, 1, 4, groups=2),
        "gated": InvertedBottleneck(24, 5, 2, 6, se_ratio=0.25),
        "head": ClassifierHead(10),
    },
)

FULL = ReportData(
    name="demo",
    run_path="runs/demo",
    device="local-cpu",
    space="tiny_edge",
    metric="top1",
    dataset="images",
    budget_ms=0.25,
    best_trial=1,
    trials=(
        TrialPoint(0, "0.1.2", "complete", 0.81, 0.2, 0.79, True, 3.0),
        TrialPoint(1, "0.1.3", "complete", 0.85, 0.21, 0.83, True, 3.0),
        TrialPoint(2, "0.1.4", "complete", 0.88, 0.4, 0.80, False, 3.0),
        TrialPoint(3, "0.1.5", "failed", None, 0.1, None, True, 1.0, "out of memory"),
    ),
    network=NETWORK,
    architecture="0.1.3",
    node_latency_ms={"stem": 0.02, "grouped": 0.1, "gated": 0.05, "head": 0.01},
    pairs=(LatencyPair("a", 0.2, 0.21, "validation"), LatencyPair("b", 0.22, 0.22, "shipped model")),
    shipped=ShippedModel(
        "int8", 0.874, 0.872, 2000, 123456, 1000, 2000, {"min": 0.2, "median": 0.22, "p90": 0.3, "runs": 100}, 0.21
    ),
    mistakes=ClassMistakes(
        "int8",
        10,
        ("cat", "dog"),
        {(0, 0): 4, (0, 1): 1, (1, 1): 5},
        (WrongPicture(7, 0, 1, 0.9, PICTURE),),
    ),
    files=(("model", "bundle/model.tflite"), ("trials as a table", "pareto.csv")),
    bundles={1: "bundle"},
    final_validation_score=0.88,
    training_history={"training loss": ((1, 1.0), (2, 0.5)), "validation top1": ((1, 0.5), (2, 0.88))},
    search_seconds=12.0,
    step_seconds={"search": 12.0, "train": 30.0},
    settings=(("seed", "0"),),
    table_facts=(("runtime", "litert"),),
    versions=(("edgenas", "0.1.0"),),
    recipe_text="name: demo\n",
)

FIGURES = {"pareto", "progress", "blocks", "prediction", "accuracy", "training"}


class Page(HTMLParser):
    """What a browser would load or run, and the figures' specifications."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    VOID = frozenset({"meta", "br", "input", "link", "img", "hr"})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loads += [values[key] or "" for key in ("src", "srcset", "data", "poster") if key in values]
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag in ("link", "iframe", "object", "base"):
            self.loads.append(tag)
        self.handlers += [key for key in values if key.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((values.get("id"), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.open and self.open[-1] != "style":
            self.text += data

    @property
    def figures(self) -> dict[str, dict]:
        return {
            name.removesuffix("-spec"): json.loads(code)
            for name, code in self.scripts
            if name and name.endswith("-spec")
        }

    @property
    def hovers(self) -> dict[str, str]:
        """What trials tell when they are pointed at, by number."""
        return json.loads(next(code for name, code in self.scripts if name == "trial-hovers"))


@pytest.fixture(scope="module")
def full() -> tuple[str, Page]:
    text = render_page(FULL)
    return text, Page(text)


def test_full_report_shows_every_figure_and_headline_number(full: tuple[str, Page]) -> None:
    page = full[1]
    assert set(page.figures) == FIGURES
    for expected in ("87.2 %", "0.220 ms", "2,000 test images", "budget of 0.250 ms", "out of memory", f"{MINUS}4.5 %"):
        assert expected in page.text
    assert page.open == []


def test_full_report_loads_nothing(full: tuple[str, Page]) -> None:
    text, page = full
    assert page.loads == [PICTURE]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    libraries = [code for name, code in page.scripts if name is None and len(code) > 1e6]
    assert len(libraries) == 1


def test_pareto_figure_shows_budget_front_and_choice(full: tuple[str, Page]) -> None:
    spec = full[1].figures["pareto"]
    traces = {trace.get("name"): trace for trace in spec["data"]}
    assert traces["chosen"]["x"] == [0.21]
    assert traces["chosen"]["y"] == [0.85]
    assert traces["chosen"]["meta"] == "trials"
    assert "0.1.3" in full[1].hovers[str(traces["chosen"]["customdata"][0])]
    assert sorted(traces["Pareto front"]["x"]) == [0.2, 0.4]
    assert [shape["x0"] for shape in spec["layout"]["shapes"]] == [0.25]


def test_best_so_far_never_takes_a_candidate_over_the_budget(full: tuple[str, Page]) -> None:
    traces = {trace.get("name"): trace for trace in full[1].figures["progress"]["data"]}
    assert max(traces["best within budget"]["y"]) == 0.85


def test_texts_from_the_run_cannot_become_markup() -> None:
    network = Network(EVIL, (("image", (8, 8, 3)),), (Node(EVIL, ClassifierHead(4), ("image",)),), (EVIL,))
    trial = TrialPoint(0, EVIL, "failed", None, 0.2, None, True, 1.0, EVIL)
    data = ReportData(
        name=EVIL,
        run_path=EVIL,
        device=EVIL,
        precision=EVIL,
        space=EVIL,
        dataset=EVIL,
        budget_ms=0.3,
        best_trial=1,
        trials=(trial, replace(trial, number=1, state="complete", score=0.8, reward=0.8, error=None)),
        network=network,
        architecture=EVIL,
        node_latency_ms={EVIL: 0.2},
        latency_statistic=EVIL,
        latency_origin=EVIL,
        pairs=(LatencyPair(EVIL, 1.0, 1.1, EVIL),),
        shipped=ShippedModel(EVIL, 0.8, 0.8, 10, 1, 1, 1, {"median": 0.2}, 0.2),
        training_history={f"loss {EVIL}": ((1, 1.0),)},
        mistakes=ClassMistakes(EVIL, 2, (EVIL, "b"), {(0, 1): 2}, (WrongPicture(0, 0, 1, 0.5, EVIL),)),
        files=((EVIL, EVIL),),
        bundles={1: EVIL},
        example=EVIL,
        step_seconds={EVIL: 1.0},
        settings=((EVIL, EVIL),),
        table_facts=((EVIL, EVIL),),
        measurement_facts=((EVIL, EVIL),),
        versions=((EVIL, EVIL),),
        recipe_text=EVIL,
        missing=(EVIL,),
    )
    page = Page(render_page(data))
    assert page.open == []
    assert page.handlers == []
    assert not [code for _, code in page.scripts if "alert(1)" in code and "<" in code and len(code) < 1e6]
    for name, spec in page.figures.items():
        assert "<script" not in json.dumps(spec), name


@pytest.mark.parametrize(
    "data",
    [
        ReportData("empty", "runs/empty", missing=("Nothing has run yet.",)),
        replace(FULL, shipped=None, pairs=(), training_history={}, final_validation_score=None),
        replace(FULL, best_trial=None, network=None, shipped=None),
        replace(FULL, node_latency_ms={}, budget_ms=None),
        replace(FULL, mistakes=None, files=(), bundles={}),
        replace(FULL, shipped=ShippedModel("int8")),
        replace(FULL, shipped=ShippedModel("int8", score_tflite=0.8)),
        replace(FULL, trials=()),
        replace(FULL, trials=FULL.trials[3:]),
    ],
    ids=[
        "empty",
        "search only",
        "none chosen",
        "no table",
        "no mistakes",
        "bare bundle",
        "no latency",
        "no trials",
        "all failed",
    ],
)
def test_missing_parts_are_left_out(data: ReportData) -> None:
    page = Page(render_page(data))
    assert page.open == []
    assert data.name in page.text
    for sentence in data.missing:
        assert sentence in page.text


def test_an_over_budget_model_is_called_so() -> None:
    text = Page(render_page(replace(FULL, budget_ms=0.1))).text
    assert "over the budget of 0.100 ms" in text


def test_drawing_says_what_the_blocks_are() -> None:
    svg = draw_network(NETWORK, FULL.node_latency_ms)
    assert svg.count('class="block"') == len(NETWORK.nodes)
    assert svg.count('class="skip"') == 1
    for text in ("2 groups", "SE", "stride 2", "GC-IBN", "3\N{MULTIPLICATION SIGN}3"):
        assert text in svg


@dataclass(frozen=True)
class _Sum(Block):
    """A family that the report has never heard of, with two inputs."""

    kind: ClassVar[str] = "report_test_sum"
    input_count: ClassVar[int] = 2

    def lower(self, *input_shapes: Shape) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        return builder.build(builder.add("sum", Add(), *builder.inputs))


def test_drawing_takes_unknown_families_and_graphs_with_branches() -> None:
    nodes = (
        Node("a", ConvBnAct(8, 3), ("image",)),
        Node("b", ConvBnAct(8, 1), ("image",)),
        Node("sum", _Sum(), ("a", "b")),
    )
    svg = draw_network(Network("branched", (("image", (8, 8, 3)),), nodes, ("sum",)), {})
    assert "report_test_sum" in svg
    assert "reads a, b" in svg
    assert "share of predicted latency" not in svg


def test_links_lead_to_the_files_and_the_front_to_bundles_or_commands(full: tuple[str, Page]) -> None:
    page = full[1]
    assert {"bundle/model.tflite", "pareto.csv", "bundle/README.md"} <= set(page.links)
    actions = json.loads(next(code for name, code in page.scripts if name == "trial-actions"))
    assert actions == {"bundles": {"1": "bundle"}, "command": "edgenas export runs/demo --trial NUMBER"}
    assert "edgenas export runs/demo --trial 0" in page.text
    assert "edgenas export runs/demo --trial 1" not in page.text


def test_commands_quote_a_folder_with_spaces() -> None:
    assert "edgenas export 'runs/my run' --trial 0" in Page(render_page(replace(FULL, run_path="runs/my run"))).text


def test_mistakes_say_how_many_which_and_show_the_picture(full: tuple[str, Page]) -> None:
    text, page = full
    assert "on the 10 test images: 1 wrong (10.0 %)" in page.text
    assert "4 of 5" in page.text
    assert "cat taken for dog, 90 % sure" in page.text
    assert 'title="cat taken for dog: 1 of 5"' in text


def test_many_classes_are_cut_to_those_with_most_mistakes() -> None:
    confusion = {(label, label): 10 for label in range(100)} | {(label, label + 1): label + 1 for label in range(40)}
    many = ClassMistakes("int8", 1820, tuple(f"class {label}" for label in range(100)), confusion)
    text = render_page(replace(FULL, mistakes=many))
    assert "Of the 100 classes, the 20 with most mistakes" in text
    assert text.count('<tr><th scope="row" title="class ') == 20
    assert '<th scope="col">other</th>' in text


def test_the_table_of_trials_can_be_sorted_by_numbers(full: tuple[str, Page]) -> None:
    text = full[0]
    table = text[text.index('class="trials sortable') :]
    table = table[: table.index("</table>")]
    assert table.count("data-numeric") == 5  # nothing is said of energy, so it has no column
    assert re.findall(r"data-value=(\S+?)>8", table) == ["0.85", "0.88", "0.81"]
    assert "energy" not in table


def test_a_network_of_many_blocks_stands_in_rows_without_a_single_box() -> None:
    blocks = {f"block{number}": ConvBnAct(8 + 8 * number) for number in range(14)}
    svg = draw_network(chain("long", (64, 64, 3), blocks), {})
    for place in ("medium", "narrow"):
        rows = re.split(rf'<i class="row {place}"></i>', svg)
        assert len(rows) > 1
        assert all(row.count('class="block"') > 1 for row in rows)
