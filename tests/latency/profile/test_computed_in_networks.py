"""Blocks seen in networks that a vendor's compiler plans as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.devices import get_device
from edgenas.latency.check.validation import validate
from edgenas.latency.predict.memory import MemoryFit, fit_memory
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.computed_in_networks import WrittenCounts, chains_of, node_shares
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import InputError
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


def test_chains_hold_every_wanted_block_once(space):
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

    from edgenas.export.tflite.flatbuffer import write_tflite

    network = space.decode(space.sample(np.random.default_rng(0), 1)[0])
    whole = get_device("ethos-u55-128").measure(write_tflite(network.graph, "int8"))
    shares = node_shares(network, whole, WrittenCounts("int8"))
    assert sum(share.latency_ms for share in shares.values()) == pytest.approx(whole.min)
    assert node_shares(network, dataclasses.replace(whole, shares=whole.shares[1:]), WrittenCounts("int8")) is None


def test_memory_fits():
    most = fit_memory("sram_bytes", [100, 200, 300], [110, 220, 330])
    assert (most.factor, most.constant, most.mape) == (1.1, 0.0, 0.0)
    added = fit_memory("flash_bytes", [100, 200, 300], [132, 232, 332])
    assert (added.factor, added.constant) == (1.0, 32.0)
    assert MemoryFit.from_json(added.to_json()) == added
    assert fit_memory("sram_bytes", [], []) == MemoryFit()
