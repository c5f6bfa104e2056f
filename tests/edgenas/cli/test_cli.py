"""The command line: JSON as other programs rely on it, one clear line for wrong input, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.cli import main
from edgenas.spaces.references import published_figures, reference_names


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Runs the command line in this process; returns exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["edgenas", *arguments])
    code = 0
    try:
        main()
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def edgenas(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EDGENAS_DATA_DIR", raising=False)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['edgenas', '--help']\n"
        "from edgenas.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'optuna', 'plotly', 'pydantic', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "run " in done.stdout


def test_spaces_list(edgenas):
    code, out, _ = edgenas("spaces", "list", "--json")
    spaces = {space["name"]: space for space in json.loads(out)}
    assert code == 0
    assert {"tiny_edge", "mobilenet_v2", "mobilenet_edgetpu_v2"} <= set(spaces)
    for space in spaces.values():
        assert set(space) == {"name", "task", "input_shape", "decisions", "size", "description"}
        assert space["description"]
        assert space["size"].isdecimal()
    assert int(spaces["mobilenet_edgetpu_v2"]["size"]) >= 10**15


def test_spaces_sample_reads_back(edgenas):
    code, out, _ = edgenas("spaces", "sample", "tiny_edge", "--count", "3", "--seed", "7", "--json")
    assert code == 0
    samples = json.loads(out)
    assert len({sample["architecture"] for sample in samples}) == 3
    assert edgenas("spaces", "sample", "tiny_edge", "--count", "3", "--seed", "7", "--json")[1] == out
    code, out, _ = edgenas("describe", f"tiny_edge:{samples[0]['architecture']}", "--json")
    described = json.loads(out)
    assert code == 0
    assert {key: described[key] for key in ("architecture", "macs", "params")} == samples[0]
    assert described["macs"] == sum(node["macs"] for node in described["nodes"])


def test_describe_follows_the_contract(edgenas):
    code, out, _ = edgenas("describe", "mobilenet_v2_1.0", "--json")
    described = json.loads(out)
    assert code == 0
    assert {
        *("name", "architecture", "input_shape", "macs", "params", "peak_activation_bytes"),
        *("latency_ms", "energy_mj", "provenance", "nodes"),
    } <= set(described)
    assert described["latency_ms"] is None
    assert {
        *("name", "block", "input_shape", "output_shape", "macs", "params"),
        *("signature", "latency_ms", "energy_mj"),
    } <= set(described["nodes"][0])


def test_references_agree_with_what_was_published(edgenas):
    code, out, _ = edgenas("describe", "--references", "--json")
    rows = json.loads(out)
    assert code == 0
    for row in rows:
        for key in ("macs", "params"):
            agreement, difference = row["agreement"][key], row[f"{key}_difference_pct"]
            assert agreement in ("within 1 %", "as printed", "disputed", "unpublished"), (row["name"], key)
            assert (agreement == "unpublished") == (difference is None)
            assert agreement != "within 1 %" or abs(difference) <= 1, (row["name"], key, difference)
            assert agreement != "disputed" or (key in row["disputed"] and row["note"]), (row["name"], key)
    agreeing = [row["agreement"]["macs"] for row in rows].count("within 1 %")
    assert agreeing >= 20


def test_references_tell_what_each_figure_counts(edgenas):
    code, out, _ = edgenas("describe", "--references")
    assert code == 0
    lines = {line.split()[0]: line for line in reversed(out.splitlines()) if line.strip()}
    assert re.search(r"2,700,000 .* half of operations .* 38,600 .* memory", lines["ds_cnn_s"])
    assert re.search(r"products and norms .* trainable", lines["coatnet_0"])
    assert "counts" in lines["counted:"]
    for name in reference_names():
        published = published_figures(name)
        for way in (published.counted, published.macs_counted):
            assert f"{way} = " in out, f"{way} is not explained"


def test_build_then_benchmark(edgenas, tmp_path):
    model = tmp_path / "new" / "m.tflite"
    code, out, _ = edgenas("spaces", "sample", "tiny_edge", "--count", "1", "--json")
    arch = f"tiny_edge:{json.loads(out)[0]['architecture']}"
    assert edgenas("build", arch, "-o", str(model))[0] == 0
    code, out, err = edgenas("benchmark", str(model), "--json")
    assert code == 0, err
    data = json.loads(out)
    latency = data["latency_ms"]
    assert 0 < latency["min"] <= latency["p10"] <= latency["median"] <= latency["p90"]
    assert latency["runs"] > 1
    assert data["provenance"]["kind"] == "measured"
    assert data["energy_mj"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("describe", "mobilenet_v9"), "mobilenet_v9"),
        (("describe", "tiny_edge:000"), "tiny_edge"),
        (("describe", "/nowhere/architecture.yaml"), "/nowhere/architecture.yaml"),
        (("describe", "mobilenet_v2_1.0", "--device", "toaster"), "toaster"),
        (("describe", "mobilenet_v2_1.0", "--device", "local-cpu"), "edgenas profile"),
        (("describe",), "--references"),
        (("spaces", "show", "nowhere"), "nowhere"),
        (("devices", "show", "toaster"), "toaster"),
        (("benchmark", "/nowhere/m.tflite"), "/nowhere/m.tflite"),
        (("run", "/nowhere/recipe.yaml"), "/nowhere/recipe.yaml"),
        (("export", "/nowhere/run"), "/nowhere/run"),
        (("report", "/nowhere/run"), "/nowhere/run"),
        (("build", "mobilenet_v2_1.0", "-o", "/tmp/x.tflite", "--quantization", "int3"), "int3"),
        (("spaces", "sample", "tiny_edge", "--count", "0"), "--count"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_wrong_input_is_one_clear_message_and_code_2(edgenas, arguments, said):
    code, out, err = edgenas(*arguments)
    assert code == 2
    assert said in err
    assert out == ""
    assert "Traceback" not in err


def test_benchmark_of_garbage_names_the_file(edgenas, tmp_path):
    path = tmp_path / "garbage.tflite"
    path.write_bytes(b"\x00" * 100)
    code, _, err = edgenas("benchmark", str(path))
    assert code == 2
    assert str(path) in err


def test_recipe_is_not_overwritten(edgenas, tmp_path):
    path = tmp_path / "my.yaml"
    assert edgenas("recipe", "-o", str(path))[0] == 0
    before = path.read_text()
    code, _, err = edgenas("recipe", "-o", str(path))
    assert code == 2
    assert "exists" in err
    assert path.read_text() == before


def test_bundle_verify_of_nothing(edgenas, tmp_path):
    code, out, err = edgenas("bundle", "verify", str(tmp_path / "none"), "--json")
    assert code in (1, 2)
    if code == 1:
        assert json.loads(out)["ok"] is False
    assert str(Path(tmp_path / "none")) in err
    (tmp_path / "front" / "trial-3").mkdir(parents=True)
    (tmp_path / "front" / "trial-3" / "metrics.json").write_text("{}")
    _, _, err = edgenas("bundle", "verify", str(tmp_path / "front"))
    assert f"name a bundle in it, such as {tmp_path / 'front' / 'trial-3'}" in err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("spaces", "show", "small_egde"), "small_edge"),
        (("devices", "show", "edgtpu-sim"), "edgetpu-sim"),
        (("describe", "mobilnet_v2_0.35"), "mobilenet_v2_0.35"),
        (("build", "ds_cnn_s", "-o", "m.tflite", "--quantization", "flaot32"), "float32"),
    ],
)
def test_a_misspelt_name_is_told_with_the_one_that_was_meant(edgenas, arguments, meant):
    code, _, err = edgenas(*arguments)
    assert code == 2
    assert err.rstrip().endswith(f"; did you mean {meant!r}?")


def test_a_folder_in_the_place_of_a_file_is_wrong_input(edgenas, tmp_path):
    code, _, err = edgenas("build", "ds_cnn_s", "-o", str(tmp_path))
    assert code == 2
    assert f"{tmp_path}: is a folder; name a file" in err
    assert not list(tmp_path.glob("*.tflite"))


def test_describe_says_what_a_file_is_that_holds_no_network(edgenas, tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: x\ndata: {name: fashion_mnist}\nbudget: {latency_ms: 1}\n")
    code, _, err = edgenas("describe", str(tmp_path / "recipe.yaml"))
    assert code == 2
    assert f"found name, data, budget; a recipe is for `edgenas run {tmp_path / 'recipe.yaml'}`" in err
    assert "KeyError" not in err
    (tmp_path / "space.yaml").write_text("name: x\ninput_shape: [8, 8, 1]\nstages: []\n")
    code, _, err = edgenas("describe", str(tmp_path / "space.yaml"))
    assert code == 2
    assert "names networks of a space" in err
