"""Images with masks: what is read, what is refused and how that is said, and the random changes of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data.augmentation import NO_AUGMENTATION, Augmentation
from edgenas.data.segmentation import VOID, load_segmentation
from edgenas.data.segmentation.augmentation import augment_pairs
from edgenas.data.segmentation.remarks import remarks
from edgenas.data.segmentation.shapes import generated_shapes
from edgenas.data.task_data import DataRequest
from edgenas.spaces.errors import InputError

SKY, GRASS, NOTHING = (128, 128, 128), (0, 200, 0), (0, 0, 0)


def load(path, **options):
    return load_segmentation(DataRequest(str(path), **options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five pictures of 6x8, the left half sky, the right grass, with masks in colours and a legend with void."""
    (tmp_path / "legend.csv").write_text("name,red,green,blue\nsky,128,128,128\ngrass,0,200,0\nvoid,0,0,0\n")
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for index in range(5):
        mask = np.zeros((6, 8, 3), np.uint8)
        mask[:, :4], mask[:, 4:], mask[0, 0] = SKY, GRASS, NOTHING
        Image.fromarray(mask).save(tmp_path / "masks" / f"p{index}.png")
        Image.fromarray(np.full((6, 8, 3), 40 * index, np.uint8)).save(tmp_path / "images" / f"p{index}.jpg")
    return tmp_path


def indexed(folder: Path, values: np.ndarray, legend: str | None) -> None:
    """Replaces all masks by indexed PNGs of these values."""
    (folder / "legend.csv").unlink()
    if legend is not None:
        (folder / "legend.csv").write_text(legend)
    for path in (folder / "masks").iterdir():
        image = Image.fromarray(values.astype(np.uint8), "P")
        image.putpalette([(7 * i) % 256 for i in range(768)])
        image.save(path)


def test_colour_masks_with_a_legend(folder: Path) -> None:
    data = load(folder, seed=3)
    assert data.facts["classes"] == ("sky", "grass")
    assert (len(data.train), len(data.test)) == (4, 1)
    assert "kept out of training" in data.notes[0]
    mask = data.train.targets[0]
    assert mask[0, 0] == VOID
    assert (mask[1:, :4] == 0).all()
    assert (mask[:, 4:] == 1).all()
    assert data.facts["pixels"] == (4 * 23, 4 * 24)


def test_indexed_masks_and_parts_and_other_sizes(folder: Path) -> None:
    values = np.repeat([[0, 0, 1, 1, 2, 2, 255, 255]], 6, axis=0)
    indexed(folder, values, None)
    for part, keep in (("train", range(4)), ("test", [4])):
        for kind in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True)
            for index in keep:
                source = next((folder / kind).glob(f"p{index}.*"))
                source.rename(folder / part / kind / source.name)
    (folder / "images").rmdir(), (folder / "masks").rmdir()
    data = load(folder, image_size=(3, 4), channels=1)
    assert data.facts["classes"] == ("0", "1", "2")
    assert data.train.inputs["image"].shape == (4, 3, 4, 1)
    assert data.train.targets[0][0].tolist() == [0, 1, 2, VOID]


def test_streamed_examples_are_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load(folder)
    monkeypatch.setattr("edgenas.data.segmentation.folder.memory_limit", lambda: 0)
    streamed = load(folder)
    assert streamed.train.streamed
    assert streamed.train.checksum() == whole.train.checksum()


def test_rows_of_one_name_are_one_class(folder: Path) -> None:
    (folder / "legend.csv").write_text("name,red,green,blue\nall,128,128,128\nall,0,200,0\nvoid,0,0,0\n")
    assert load(folder).facts["classes"] == ("all",)


def resize_first_mask(folder):
    Image.open(folder / "masks" / "p0.png").resize((4, 3), 0).save(folder / "masks" / "p0.png")


def paint(folder):
    image = Image.open(folder / "masks" / "p1.png")
    image.putpixel((7, 2), (1, 2, 3))
    image.save(folder / "masks" / "p1.png")


def no_void(folder):
    (folder / "legend.csv").write_text("name,red,green,blue\nsky,128,128,128\ngrass,0,200,0\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (resize_first_mask, r"masks/p0\.png: 3x4 pixels .* p0\.jpg has 6x8; make the mask anew"),
        (paint, r"masks/p1\.png: the colour \(1, 2, 3\) \(row 2, column 7\) is not in legend\.csv; add a row"),
        (no_void, r"masks/p0\.png: the colour \(0, 0, 0\) \(row 0, column 0\) is not in legend\.csv, and no void is"),
        (lambda f: (f / "legend.csv").unlink(), r"masks/p0\.png: a mask of colours \(RGB\) and no legend\.csv"),
        (lambda f: (f / "masks/p2.png").unlink(), r"images/p2\.jpg: has no mask; expected .*masks/p2\.png"),
        (lambda f: (f / "images/p2.jpg").unlink(), r"masks/p2\.png: a mask of no image"),
        (lambda f: (f / "masks/p3.png").write_bytes(b"x"), r"masks/p3\.png: not a readable mask"),
        (lambda f: (f / "legend.csv").write_text("a,b\n"), r"legend\.csv: line 1 is 'a,b'; expected name,red,green"),
        (lambda f: (f / "legend.csv").write_text("name,index\nsky,x\n"), r"legend\.csv: line 2 is 'sky,x'; expected"),
        (
            lambda f: indexed(f, np.full((6, 8), 9), "name,index\nsky,0\nvoid,255\n"),
            r"masks/p0\.png: the label 9 \(row 0, column 0, and 47 more pixels\) is of no class: there are 1; add a cl",
        ),
        (
            lambda f: indexed(f, np.full((6, 8), 255), "name,index\nsky,0\n"),
            r"masks/p0\.png: the label 255 .* no void is named; add a class for it, or say that it is void",
        ),
    ],
)
def test_wrong_folders_get_one_clear_line(folder: Path, spoil, words: str) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=words) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def save(path: Path, **changes) -> Path:
    masks = np.zeros((4, 5, 6), np.int64)
    masks[:, :, 3:] = 1
    masks[:, 0, 0] = 7
    arrays = {"x_train": np.zeros((4, 5, 6, 3), np.uint8), "y_train": masks, "void_label": 7} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_npz(tmp_path: Path) -> None:
    path = save(tmp_path / "m.npz", class_names=np.array(["sky", "grass"]), licence="CC0")
    data = load("m", directory=tmp_path, image_size=(10, 12))
    assert (data.name, data.facts["classes"], data.licence) == ("m", ("sky", "grass"), "CC0")
    assert data.train.targets.shape == (3, 10, 12)
    assert data.train.targets[0, 0, 0] == VOID
    assert load(path).train.inputs["image"].shape == (3, 5, 6, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"void_label": None, "class_names": np.array(["a", "b"])}, r"'y_train' holds 7 \(image 0, row 0, column 0\)"),
        ({"y_train": np.zeros((4, 5, 5), int)}, r"'y_train' has shape \(4, 5, 5\), but x_train \(4, 5, 6, 3\)"),
        ({"y_train": np.zeros(4, int)}, r"'y_train' is int64 of shape \(4,\); expected a whole number for each pixel"),
        ({"x_train": np.zeros((4, 5, 6, 3))}, r"'x_train' is float64; expected uint8"),
        ({"void_label": "none"}, r"'void_label' is"),
        ({"x_test": np.zeros((1, 5, 6, 3), np.uint8)}, r"no key 'y_test'"),
    ],
)
def test_wrong_npz(tmp_path: Path, changes, words: str) -> None:
    with pytest.raises(InputError, match=rf"m\.npz: {words}"):
        load(save(tmp_path / "m.npz", **changes))


def test_unknown_name() -> None:
    with pytest.raises(InputError, match=r"'nowhere' not found: .*expected generated_shapes, or a path"):
        load("nowhere")


def test_generated_shapes_are_the_same_every_time() -> None:
    one, two = (generated_shapes((24, 32), train=8, test=3) for _ in range(2))
    assert one.train.checksum() == two.train.checksum() != one.test.checksum()
    assert set(np.unique(one.train.targets)) == {0, 1, 2, 3, VOID}
    assert remarks(generated_shapes((24, 32), train=8, test=8)) == ()
    rare = generated_shapes((24, 32), train=1, test=1)
    assert any("no training pixel of class" in line for line in remarks(rare))


def test_image_and_mask_change_alike() -> None:
    masks = np.random.default_rng(0).integers(0, 2, (6, 4, 5), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    images = masks[..., None] * np.uint8(200)
    changed, labels = augment_pairs(images, masks, Augmentation(), (0.7, 1.5), np.random.default_rng(1))
    again = augment_pairs(images, masks, Augmentation(), (0.7, 1.5), np.random.default_rng(1))
    np.testing.assert_array_equal(changed, again[0])
    np.testing.assert_array_equal(labels, again[1])
    assert not np.array_equal(labels, masks)
    assert (labels == VOID).any()
    inside = labels != VOID
    agree = (changed[..., 0] > 100) == (labels == 1)
    assert agree[inside].mean() > 0.93  # all but the blurred edges
    same, masked = augment_pairs(images, masks, NO_AUGMENTATION, (0.5, 2.0), np.random.default_rng(1))
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(masked, masks)
