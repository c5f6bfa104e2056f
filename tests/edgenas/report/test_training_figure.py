"""Which curves of a training stand on which axis."""

from edgenas.report.data import ReportData
from edgenas.report.evidence_figures import training_figure

EPOCHS = ((1, 0.5), (2, 0.6))


def test_shares_losses_and_errors_in_a_unit_are_kept_apart() -> None:
    names = ("validation r2", "validation rmse", "validation d2_log_loss", "validation log_loss", "training loss")
    data = ReportData(
        "run", "runs/run", errors=frozenset({"rmse", "log_loss"}), training_history=dict.fromkeys(names, EPOCHS)
    )
    figure = training_figure(data)
    assert figure is not None
    dotted = {trace.name: trace.line.dash for trace in figure.data}
    assert list(dotted.values()) == ["solid", "solid", "dot", "dot"]
    assert "training loss" in dotted
    assert not any("RMSE" in name for name in dotted)


def test_nothing_to_draw() -> None:
    assert training_figure(ReportData("run", "runs/run")) is None
