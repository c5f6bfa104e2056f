"""Predictions for networks of graph spaces: a population's are those of its networks one by one."""

import numpy as np

from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row


def test_populations_are_predicted_as_their_networks(graph_space):
    rng = np.random.default_rng(0)
    table = LatencyTable(
        device="server",
        precision="int8",
        runtime="fake-runtime",
        runtime_version="1.0",
        threads=1,
        protocol="made up",
        anchor_ms=0.005,
        created="2000-01-01T00:00:00Z",
        rows={signature: Row(float(rng.uniform(0.001, 0.02))) for signature in graph_space.signatures("int8")},
        calibration=Calibration(1.05, 0.002, 12, 0.006, 0.02, 1.1, 1.3, mape_interval=(0.004, 0.009)),
    )
    predictor = Predictor(table)
    population = graph_space.sample(rng, 40)
    apart = [predictor.predict(graph_space.decode(row)).latency_ms for row in population]
    np.testing.assert_allclose(predictor.population(graph_space, population), apart, rtol=1e-12)
