"""Blocks seen in networks that a vendor's compiler plans as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.devices import get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.validation import validate
from edgenas.latency.predict.memory import MemoryFit, fit_memory
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.chains import natural_chains, returning_chains, way_back
from edgenas.latency.profile.computed_in_networks import WrittenCounts, node_shares
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel

pytest.importorskip("ethosu", reason="the extra edgenas[ethos-u] is not installed")

SMALL = """
name: small
task: classification
input_shape: [12, 12, 3]
classes: 4
stem: {block: conv, filters: [8, 16], kernel: 3, stride: 2}
stages:
  - filters: [16, 24]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
      - blocks:
          - {block: fused_ibn, expansion: [1, 2]}
head:
  - {block: classifier}
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "small.yaml"
    path.write_text(SMALL)
    return SearchSpace.load(path)


@pytest.fixture(scope="module")
def profiled(space, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    return profile_space(space, get_device("ethos-u55-128"), precision="int8", table_path=path)


@pytest.mark.parametrize("chains_of", [natural_chains, returning_chains])
def test_chains_hold_every_wanted_block_once(space, chains_of):
    blocks = space.signatures("int8")
    for wanted in (blocks, dict(list(blocks.items())[3:6])):
        chains = chains_of(wanted, blocks, np.random.default_rng(0), "int8")
        held = [
            signature
            for network in chains
            for name, signature in network.signatures("int8").items()
            if not name.startswith("around_")
        ]
        assert sorted(held) == sorted(wanted)


def test_returning_chains_are_few_and_each_of_one_input(space):
    blocks = space.signatures("int8")
    chains = returning_chains(blocks, blocks, np.random.default_rng(0), "int8")
    assert len(chains) < len(natural_chains(blocks, blocks, np.random.default_rng(0), "int8"))
    for network in chains:
        nodes = [name for name in network.running if name.startswith("block")]
        assert len({network.running[name].input_shapes for name in nodes}) == 1


def test_a_way_back_makes_the_shape_where_it_is_light():
    for start, end in (((6, 6, 24), (12, 12, 16)), ((6, 6, 24), (6, 6, 8)), ((3, 2, 8), (12, 8, 8))):
        blocks = {str(place): block for place, block in enumerate(way_back(start, end))}
        assert chain("back", start, blocks).graph.output_shapes[0] == end
    assert way_back((6, 6, 8), (6, 6, 8)) == []
    for start, end in (((4, 4, 8), (7, 7, 8)), ((10,), (6, 6, 8)), ((4, 2, 8), (8, 2, 8))):
        assert way_back(start, end) is None


def test_equal_kernels_cost_the_same_on_the_device(space):
    network = returning_chains(space.signatures("int8"), space.signatures("int8"), np.random.default_rng(0), "int8")[0]
    files = [write_tflite(network.graph, "int8", equal_kernels=equal) for equal in (False, True)]
    own, equal = (get_device("ethos-u55-128").measure(file) for file in files)
    assert files[0] != files[1]
    assert equal.memory["flash_bytes"] < own.memory["flash_bytes"]  # stored once
    assert equal.min == pytest.approx(own.min, rel=0.002)
    assert [one.flash_bytes for one in equal.shares] == pytest.approx([one.flash_bytes for one in own.shares], abs=64)


def test_blocks_of_a_space_of_much_weight_are_seen_once_in_returning_chains(space, monkeypatch):
    from edgenas.latency.profile import computed_in_networks

    monkeypatch.setattr(computed_in_networks, "_WEIGHT_BYTES", 1)
    blocks = space.signatures("int8")
    device = get_device("ethos-u55-128")
    found = computed_in_networks.compute_in_networks(blocks, blocks, device, "int8", None)
    assert found.rows.keys() == blocks.keys()
    assert all(row.networks == 1 for row in found.rows.values())
    network = space.decode(space.sample(np.random.default_rng(5), 1)[0])
    predicted = sum(found.rows[name].latency_ms for name in network.signatures("int8").values())
    assert device.measure(write_tflite(network.graph, "int8")).min == pytest.approx(predicted, rel=0.1)


def test_a_table_tells_latency_and_memory_of_whole_networks(space, profiled):
    assert profiled.measured == profiled.signatures
    table = LatencyTable.load(profiled.path)
    assert set(table.calibration.memory) == {"sram_bytes", "flash_bytes"}
    assert all(row.networks and row.sram_bytes and row.latency_ms for row in table.rows.values())
    found = validate(space, get_device("ethos-u55-128"), profiled.table, networks=12, seed=1)
    assert found.accuracy.mape < 0.03
    assert found.accuracy.spearman > 0.98
    assert found.kind == "simulated"


def test_memory_is_predicted_and_can_be_budgeted(space, profiled):
    device, costs = get_device("ethos-u55-128"), CostModel(space, "int8", Predictor(profiled.table))
    population = space.sample(np.random.default_rng(2), 6)
    predicted = costs.population(population, ("sram_bytes", "flash_bytes"))
    from edgenas.export.tflite.flatbuffer import write_tflite

    for place, row in enumerate(population):
        network = space.decode(row)
        memory = device.measure(write_tflite(network.graph, "int8")).memory
        assert predicted["flash_bytes"][place] == pytest.approx(memory["flash_bytes"], rel=0.05)
        assert predicted["sram_bytes"][place] == pytest.approx(
            memory["sram_bytes"], rel=0.3
        )  # a few hundred bytes here
        one = Predictor(profiled.table).predict(network).memory
        assert one["sram_bytes"] == pytest.approx(predicted["sram_bytes"][place])
    architecture, least = costs.cheapest("flash_bytes")
    assert costs.architecture(architecture)["flash_bytes"] == least <= predicted["flash_bytes"].min()
    assert costs.dearest("flash_bytes")[1] >= predicted["flash_bytes"].max()


def test_a_table_that_tells_no_memory_says_what_does(space, profiled):
    import dataclasses

    calibration = dataclasses.replace(profiled.table.calibration, memory={})
    plain = dataclasses.replace(profiled.table, calibration=calibration)
    with pytest.raises(InputError, match=r"does not tell sram_bytes.*ethos-u"):
        Predictor(plain).population_memory(space, space.sample(np.random.default_rng(0), 1), "sram_bytes")


def test_shares_that_do_not_add_up_tell_nothing(space):
    import dataclasses

    network = space.decode(space.sample(np.random.default_rng(0), 1)[0])
    whole = get_device("ethos-u55-128").measure(write_tflite(network.graph, "int8"))
    shares = node_shares(network, whole, WrittenCounts("int8"))
    assert sum(share.latency_ms for share in shares.values()) == pytest.approx(whole.min)
    assert node_shares(network, dataclasses.replace(whole, shares=whole.shares[1:]), WrittenCounts("int8")) is None


def test_a_block_that_falls_to_the_cpu_is_refused_and_not_free(tmp_path):
    path = tmp_path / "cpu.yaml"
    path.write_text(
        "name: cpu\ntask: classification\ninput_shape: [8, 8, 8]\nclasses: 4\n"
        "stem: {block: conv, filters: [8, 16], kernel: 3}\n"
        "stages:\n- {filters: [16], depth: [1], layers: [{blocks: [{block: ibn}, {block: resample, up: 3}]}]}\n"
        "head: [{block: classifier}]\n"
    )
    found = profile_space(
        SearchSpace.load(path), get_device("ethos-u55-128"), precision="int8", table_path=tmp_path / "table.csv"
    )
    refused = {name for name in SearchSpace.load(path).signatures("int8") if name.startswith("resample")}
    assert found.failed.keys() == refused
    assert refused.isdisjoint(found.table.rows)
    assert all("RESIZE_NEAREST_NEIGHBOR" in str(error) for error in found.failed.values())


def test_memory_fits():
    most = fit_memory("sram_bytes", [100, 200, 300], [110, 220, 330])
    assert (most.factor, most.constant, most.mape) == (1.1, 0.0, 0.0)
    added = fit_memory("flash_bytes", [100, 200, 300], [132, 232, 332])
    assert (added.factor, added.constant) == (1.0, 32.0)
    assert MemoryFit.from_json(added.to_json()) == added
    assert fit_memory("sram_bytes", [], []) == MemoryFit()
