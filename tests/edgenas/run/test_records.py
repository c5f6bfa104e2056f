"""Records of the steps: what is written is read, what is older has defaults, what is damaged is named in one line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgenas.run.folder import RunFolder
from edgenas.run.records import (
    BudgetRange,
    BudgetUseRecord,
    ChooseRecord,
    DeviceRecord,
    ExportRecord,
    ProfileRecord,
    ReportRecord,
    SearchRecord,
    StepRecord,
    TrainRecord,
)
from edgenas.spaces.errors import InputError

EXPORT = ExportRecord(
    done=True,
    seconds=3.5,
    trial=0,
    metric="top1",
    metrics={"float": {"top1": 0.0, "loss": float("inf")}, "tflite": {"top1": 0.5}},
    top1_float=0.0,
    top1_tflite=0.5,
    latency_kind="measured",
    devices={"local-cpu": DeviceRecord(measured={"latency_ms": 0.2}, latency_kind="measured", file="model.tflite")},
    budget_use={"latency_ms": BudgetUseRecord(words="half of it", other={"limit": 0.4, "best_between": None})},
    measured={"latency_ms": 0.2, "size_bytes": 900},
    conversion={"quantization": "int8"},
)
RECORDS = [
    ProfileRecord(
        done=True,
        table="/a.csv",
        tables={"local-cpu": "/a.csv"},
        budget={"latency_ms": BudgetRange(limit=0.4, least=0.1, most=0.3, binds=False)},
    ),
    SearchRecord(done=True, trials=3, failed=0, best=0, limits={"macs": 5}, overhead={"trials": 3}),
    ChooseRecord(trial=0, latency_kind="measured", kinds={"local-cpu": "measured"}, rejected={5: "too slow"}),
    TrainRecord(seconds=2.0),
    EXPORT,
    ReportRecord(done=True),
]


def of_another_version(folder: Path, steps: Any) -> RunFolder:
    (folder / "state.json").write_text(json.dumps({"format": 1, "steps": steps}))
    return RunFolder(folder)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.step)
def test_what_is_written_is_read(tmp_path: Path, record: StepRecord) -> None:
    RunFolder(tmp_path).write(record)
    assert RunFolder(tmp_path).read(type(record)) == record


def test_the_file_is_as_it_was(tmp_path: Path) -> None:
    """The keys that earlier versions look for."""
    folder = RunFolder(tmp_path)
    for record in RECORDS:
        folder.write(record)
    steps = json.loads((tmp_path / "state.json").read_text())["steps"]
    assert steps["profile"]["budget"] == {"latency_ms": {"limit": 0.4, "least": 0.1, "most": 0.3, "binds": False}}
    assert steps["search"]["failed"] == 0
    assert steps["choose"] == {
        "trial": 0,
        "latency_kind": "measured",
        "kinds": {"local-cpu": "measured"},
        "rejected": {"5": "too slow"},
    }
    assert steps["export"]["top1_float"] == 0.0
    assert steps["export"]["devices"]["local-cpu"]["energy_kind"] is None
    assert steps["export"]["budget_use"]["latency_ms"] == {"words": "half of it", "limit": 0.4, "best_between": None}


def test_a_state_of_before_there_were_tasks_and_several_devices_is_read(tmp_path: Path) -> None:
    folder = of_another_version(
        tmp_path,
        {
            "profile": {"done": True, "table": "/a.csv"},
            "search": {"done": True, "trials": 3, "best": 1, "seconds": 5},
            "choose": {"trial": None, "rejected": {"2": "too slow"}},
            "export": {
                "done": True,
                "trial": 1,
                "top1_float": 0.9,
                "top1_tflite": 0.8,
                "measured": {"latency_ms": 0.2, "size_bytes": 900},
            },
        },
    )
    assert folder.read(ProfileRecord).budget == {}
    assert folder.read(SearchRecord).overhead == {}
    assert folder.read(ChooseRecord) == ChooseRecord(rejected={2: "too slow"})
    assert folder.read(ExportRecord).scores == ("top1", 0.9, 0.8)
    assert folder.read(ExportRecord).devices == {}
    assert folder.read(TrainRecord) == TrainRecord()
    assert folder.records.seconds == {"search": 5}


def test_what_another_version_added_stays(tmp_path: Path) -> None:
    folder = of_another_version(tmp_path, {"search": {"done": True, "new": [1]}, "prune": {"done": True, "by": 2}})
    folder.write(replace(folder.read(SearchRecord), best=4))
    steps = json.loads((tmp_path / "state.json").read_text())["steps"]
    assert steps == {"search": {"done": True, "new": [1], "best": 4}, "prune": {"done": True, "by": 2}}


def test_nothing_is_shipped_before_the_export_is_done() -> None:
    assert replace(EXPORT, done=False).shipped() == {}
    assert {"done", "seconds"} & EXPORT.shipped().keys() == set()
    assert EXPORT.shipped()["energy_kind"] is None


SHIPPED = {"done": True, "trial": 1, "top1_float": 0.9, "top1_tflite": 0.8, "measured": {"latency_ms": 1}}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], r"steps: found \[\], expected a mapping"),
        ({"search": 3}, "steps.search: found 3, expected a mapping"),
        ({"search": {"done": "yes"}}, "steps.search.done: found 'yes', expected true or false"),
        ({"search": {"best": True}}, "steps.search.best: found True, expected a trial's number"),
        ({"search": {"limits": {"macs": "5"}}}, "steps.search.limits.macs: found '5', expected a number"),
        ({"search": {"limits": {"macs": 10**400}}}, "steps.search.limits.macs: found 1000+, expected a number"),
        ({"search": {"overhead": {"trials": None}}}, "steps.search.overhead.trials: found nothing, expected a number"),
        ({"profile": {"budget": {"macs": 3}}}, "steps.profile.budget.macs: found 3, expected a mapping"),
        ({"profile": {"tables": {"a": 1}}}, "steps.profile.tables.a: found 1, expected a text"),
        ({"choose": {"rejected": {"x": "y"}}}, "steps.choose.rejected: found 'x', expected a trial's number as key"),
        ({"choose": {"trial": "li\nne"}}, r"steps.choose.trial: found 'li\\nne', expected a trial's number"),
        ({"train": {"seconds": -1}}, "steps.train.seconds: found -1, expected seconds, a number from 0 up"),
        ({"prune": {"seconds": []}}, r"steps.prune.seconds: found \[\], expected seconds"),
        ({"export": SHIPPED}, "steps.export.measured.size_bytes: found nothing, expected a number"),
        ({"export": SHIPPED | {"trial": None}}, "steps.export.trial: found nothing, expected the number"),
        ({"export": SHIPPED | {"metric": "map"}}, None),
        ({"export": SHIPPED | {"metrics": {"float": {}}}}, "steps.export.metrics: found .*, expected top1 of the"),
        ({"export": {"devices": {"cpu": {"measured": 1}}}}, "steps.export.devices.cpu.measured: found 1"),
        ({"export": {"budget_use": {"macs": {"words": 1}}}}, "steps.export.budget_use.macs.words: found 1"),
    ],
)
def test_a_damaged_value_is_named_in_one_line(tmp_path: Path, steps: Any, words: str | None) -> None:
    folder = of_another_version(tmp_path, steps)
    with pytest.raises(InputError, match=rf"state\.json: not the state of a run \({words or ''}") as caught:
        folder.read(TrainRecord)
    assert "\n" not in str(caught.value)
    assert "Delete it and continue with --resume" in str(caught.value)
