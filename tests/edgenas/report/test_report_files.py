"""Which files of a run the report leads to."""

from pathlib import Path

from edgenas.report.data import ReportData
from edgenas.report.files import files_html, run_bundles, run_files
from edgenas.run.folder import RunFolder


def touched(folder: Path, *names: str) -> RunFolder:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return RunFolder(folder)


def test_only_files_that_are_there(tmp_path: Path):
    found = dict(run_files(touched(tmp_path, "recipe.yaml", "bundle/model.tflite", "bundle/model-coral.tflite")))
    # pareto.csv is written together with the report.
    assert set(found.values()) == {"recipe.yaml", "bundle/model.tflite", "bundle/model-coral.tflite", "pareto.csv"}


def test_bundles_by_trial_wherever_they_were_exported(tmp_path: Path):
    folder = touched(
        tmp_path,
        *("bundle/metrics.json", "bundles/trial-3/metrics.json", "bundles/trial-3x/metrics.json"),
        *("front/trial-3/metrics.json", "front/trial-7/metrics.json", "bundles/trial-9/other.json"),
    )
    assert run_bundles(folder, 5) == {5: "bundle", 3: "bundles/trial-3", 7: "front/trial-7"}
    assert 5 not in run_bundles(folder, None)


def test_names_are_quoted_as_links():
    data = ReportData("x", "x", files=(("a b", 'bundle/a "b"#.tflite'),))
    assert 'href="bundle/a%20%22b%22%23.tflite"' in files_html(data)
