"""A trial that the user chooses is exported beside what the run has chosen."""

from pathlib import Path

import pytest

from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import export_trial, run, run_recipe
from edgenas.run.records import ChooseRecord, ExportRecord
from edgenas.spaces.errors import InputError
from tests.edgenas.run.safety.searching import Make, searched


@pytest.mark.slow
def test_a_trial_that_the_user_chooses_has_a_bundle_of_its_own(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    from edgenas.export.bundle.bundle import verify_bundle

    text = """
    search: {trials: 2, algorithm: random}
    training: {epochs: 1, max_steps: 3, batch_size: 32}
    export: {calibration_images: 20, accuracy_drop: 1.0}
    """
    recipe = make_recipe(text, table=table_path, latency_ms=50.0)
    result = searched(recipe, ship=True)
    chosen = result.shipped["trial"]
    before = {path.name: path.read_bytes() for path in (result.run / "bundle").iterdir()}
    state = RunFolder(result.run).read(ChooseRecord), RunFolder(result.run).read(ExportRecord).trial

    exported = export_trial(result.run, 1 - chosen)
    assert exported.bundle == result.run / "bundles" / f"trial-{1 - chosen}"
    assert f"shipped: trial {1 - chosen} in {exported.bundle}: " in exported.summary()
    assert exported.to_json()["shipped"]["trial"] == 1 - chosen
    assert exported.to_json()["bundle"] == str(exported.bundle)
    assert {path.name: path.read_bytes() for path in (result.run / "bundle").iterdir()} == before
    assert (RunFolder(result.run).read(ChooseRecord), RunFolder(result.run).read(ExportRecord).trial) == state
    assert verify_bundle(exported.bundle) == []
    assert exported.best == result.best

    elsewhere = export_trial(result.run, output=tmp_path / "elsewhere")
    assert verify_bundle(tmp_path / "elsewhere") == []
    assert (tmp_path / "elsewhere" / "model.tflite").read_bytes() == before["model.tflite"]
    assert elsewhere.shipped["trial"] == chosen
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not touch")
    with pytest.raises(InputError, match="holds other things than a bundle"):
        export_trial(result.run, 1, output=tmp_path / "full")

    final = result.run / "trials" / str(chosen) / "final"
    (result.run / "state.json").unlink()
    for name in ("training.json", "model.weights.h5"):
        content = (final / name).read_bytes()
        (final / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=rf"{name}: not the .* of .*training.*Delete it and continue"):
            run(recipe, resume=True, quiet=True)
        (final / name).write_bytes(content)
    assert run_recipe(result.run / "recipe.yaml", resume=True).shipped["trial"] == chosen
