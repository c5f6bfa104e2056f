"""The ``run.py`` of a classifier runs anywhere, and says what is wrong in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from edgenas.export.verify import tflite_logits
from tests.export.bundle.classifier import LABELS, replace_file, rewrite


def run(folder: Path, *arguments: object, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Runs run.py where TensorFlow and EdgeNAS cannot be imported, in another folder."""
    block = folder.parent / "block"
    for name in ("tensorflow", "keras", "edgenas", "export", "spaces"):
        (block / name).mkdir(parents=True, exist_ok=True)
        (block / name / "__init__.py").write_text(f"raise SystemExit('run.py imported {name}')")
    return subprocess.run(
        [sys.executable, str(folder / "run.py"), *map(str, arguments)],
        cwd=block,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(block), "PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_run_agrees_with_verification_on_arrays_and_pictures(copy: Path, trained, int8_model: bytes) -> None:
    images = trained.test_images[:4]
    expected = [LABELS[index] for index in tflite_logits(int8_model, trained.test_inputs[:4]).argmax(axis=-1)]
    paths: list[Path] = []
    for index, pixels in enumerate(images):
        paths += [copy.parent / f"{index}.npy", copy.parent / f"{index}.png"]
        np.save(paths[-2], pixels if index % 2 else pixels[..., 0])
        Image.fromarray(pixels[..., 0]).save(paths[-1])
    result = run(copy, *paths, "--top", 1)
    assert result.returncode == 0, result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [(str(path), expected[i // 2]) for i, path in enumerate(paths)]
    assert rows[0][2] == rows[1][2]  # the same pixels from an array and from a picture


def test_run_prints_probabilities_in_order(copy: Path, trained, int8_model: bytes) -> None:
    np.save(copy.parent / "image.npy", trained.test_images[0])
    shares = [
        float(line.split("\t")[2]) for line in run(copy, copy.parent / "image.npy", "--top", 6).stdout.splitlines()
    ]
    logits = tflite_logits(int8_model, trained.test_inputs[:1])[0].astype(float)
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(shares, np.sort(expected)[::-1], atol=1e-3)


def test_run_reads_pictures_as_training_does(copy: Path, trained) -> None:
    """Turned, in 16 bits, and on a transparent ground: the same answer as for the plain picture."""
    pixels = trained.test_images[0][..., 0]
    folder = copy.parent
    np.save(folder / "plain.npy", pixels)
    Image.fromarray(pixels.astype(np.uint16) * 257).save(folder / "deep.png")
    turned = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    turned.save(folder / "turned.png", exif=turned.getexif())
    alpha = Image.new("L", pixels.shape[::-1], 255)
    Image.merge("LA", (Image.fromarray(pixels), alpha)).save(folder / "alpha.png")
    names = ("plain.npy", "deep.png", "turned.png", "alpha.png")
    result = run(copy, *(folder / name for name in names), "--top", 6)
    assert result.returncode == 0, result.stderr
    rows = [line.split("\t")[1:] for line in result.stdout.splitlines()]
    assert rows[:6] == rows[6:12] == rows[12:18] == rows[18:]
    Image.new("RGBA", pixels.shape[::-1]).save(folder / "clear.png")
    np.save(folder / "white.npy", np.full_like(pixels, 255))
    rows = [line.split("\t")[1:] for line in run(copy, folder / "clear.png", folder / "white.npy").stdout.splitlines()]
    assert rows[:3] == rows[3:]


def test_run_prints_replacements_where_the_terminal_lacks_a_character(copy: Path, trained) -> None:
    np.save(copy.parent / "ü.npy", trained.test_images[0])
    replace_file(copy, "labels.txt", "".join(f"猫{index}\n" for index in range(6)).encode())
    result = run(copy, copy.parent / "ü.npy", "--top", 1, encoding="ascii")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{copy.parent}/?.npy\t?")
    (entry,) = json.loads(run(copy, copy.parent / "ü.npy", "--json", encoding="ascii").stdout)
    assert "猫" in entry["classes"][0]["label"]


def test_run_refuses_pictures_that_would_hang_or_fill_the_memory(copy: Path) -> None:
    folder = copy.parent
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.npy")
    Image.new("1", (20_000, 10_000)).save(folder / "huge.png")
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (20, 20, 1000000000), }\n"
    (folder / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    np.savez(folder / "archive.npz", a=np.zeros(3))
    (folder / "archive.npz").rename(folder / "archive.npy")
    bad = [folder / name for name in ("pipe.png", "pipe.npy", "huge.png", "huge.npy", "archive.npy", "x" * 300)]
    result = run(copy, *bad)
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("INFO")]
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in bad]
    assert "Traceback" not in result.stderr


def test_run_resizes_colour_pictures(copy: Path) -> None:
    Image.new("RGBA", (50, 31), "red").save(copy.parent / "big.png")
    result = run(copy, copy.parent / "big.png")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3


def test_run_reports_bad_images_in_one_line_each_and_goes_on(copy: Path, trained) -> None:
    folder = copy.parent
    np.save(folder / "small.npy", np.zeros((5, 5), np.uint8))
    np.save(folder / "float.npy", np.zeros((20, 20), np.float32))
    np.save(folder / "good.npy", trained.test_images[0])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.npy").write_bytes(b"")
    bad = [folder / name for name in ("small.npy", "float.npy", "missing.png", "text.png", "empty.npy")]
    result = run(copy, *bad, folder / "good.npy", "--top", 1)
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if not line.startswith("INFO")]  # the runtime's own
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in bad]
    assert result.stdout.startswith(f"{folder / 'good.npy'}\t")


def test_run_verifies_its_folder_with_the_runtime_alone(copy: Path, tmp_path: Path) -> None:
    result = run(copy, "--verify", "--json")
    assert (result.returncode, json.loads(result.stdout)) == (0, {"ok": True, "problems": []}), result.stderr
    (copy / "labels.txt").write_text("other")
    result = run(copy, "--verify")
    assert result.returncode == 1
    assert result.stdout == "labels.txt: changed since the bundle was written\n"
    assert rewrite(copy, self_test={"logits": [0.0] * 6, "tolerance": 0.01})
    replace_file(copy, "labels.txt", "".join(f"{label}\n" for label in LABELS).encode())
    assert "away from when it was made" in run(copy, "--verify").stdout


def test_run_prints_json(copy: Path, trained) -> None:
    np.save(copy.parent / "image.npy", trained.test_images[0])
    result = run(copy, "--image", copy.parent / "image.npy", "--top", 2, "--json")
    (entry,) = json.loads(result.stdout)
    assert entry["image"] == str(copy.parent / "image.npy")
    assert len(entry["classes"]) == 2
    assert entry["classes"][0]["label"] in LABELS


def test_run_says_what_is_missing(copy: Path) -> None:
    result = run(copy, "--edgetpu", "whatever.png")
    assert result.returncode == 1
    assert "libedgetpu.so.1 cannot be loaded" in result.stderr
    assert "nothing was run on the CPU" in result.stderr
    (copy.parent / "block" / "cv2").mkdir()
    (copy.parent / "block" / "cv2" / "__init__.py").write_text("raise ImportError")
    result = run(copy, "--camera")
    assert result.returncode == 2
    assert "camera 0: --camera needs OpenCV: pip install opencv-python-headless" in result.stderr
    assert run(copy).returncode == 2


def test_run_with_a_damaged_model_says_so(copy: Path) -> None:
    (copy / "model.tflite").write_bytes(b"damaged")
    result = run(copy, "whatever.png")
    assert result.returncode == 1
    assert "model.tflite: " in result.stderr
    assert "Traceback" not in result.stderr


def test_the_program_needs_only_old_python(written: Path) -> None:
    compile((written / "run.py").read_text(), "run.py", "exec", dont_inherit=True)
    import ast

    ast.parse((written / "run.py").read_text(), feature_version=(3, 7))
