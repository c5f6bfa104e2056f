"""Every format gives the same boxes; what is broken is told in one line with file and place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgenas.data.detection import load_detection
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.spaces.errors import InputError

#: left, top, right, bottom in pixels of pictures 40 wide and 20 high, by part and picture.
BOXES = {
    "train": {"a": [("cat", 4, 2, 24, 12)], "b": [("dog", 10, 0, 40, 20), ("cat", 0, 10, 8, 20)], "c": []},
    "test": {"d": [("dog", 20, 5, 30, 15)], "e": [("cat", 1, 1, 9, 9)]},
}
NAMES = ["cat", "dog"]


def pictures(folder: Path, part: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(BOXES[part]):
        Image.new("RGB", (40, 20), (40 * place, 100, 50)).save(folder / f"{name}.png")


def coco_document(part: str) -> dict:
    images, annotations = [], []
    for key, (name, boxes) in enumerate(BOXES[part].items(), start=7):
        images.append({"id": key, "file_name": f"{name}.png", "height": 20, "width": 40})
        for label, left, top, right, bottom in boxes:
            box = [left, top, right - left, bottom - top]
            annotations.append({"image_id": key, "category_id": 3 + NAMES.index(label), "bbox": box})
    categories = [{"id": 4, "name": "dog"}, {"id": 3, "name": "cat"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco(root: Path) -> None:
    for part in BOXES:
        pictures(root / "images", part)
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{part}2017.json").write_text(json.dumps(coco_document(part)))


def coco_parts(root: Path) -> None:
    for part in BOXES:
        pictures(root / part, part)
        (root / part / "_annotations.coco.json").write_text(json.dumps(coco_document(part)))


def voc_text(boxes: list) -> str:
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>"
        for label, left, top, right, bottom in boxes
    )
    return f"<annotation><size><width>40</width><height>20</height></size>{objects}</annotation>"


def voc(root: Path) -> None:
    for part in BOXES:
        pictures(root / "JPEGImages", part)
        for folder in ("Annotations", "ImageSets/Main"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for name, boxes in BOXES[part].items():
            (root / "Annotations" / f"{name}.xml").write_text(voc_text(boxes))
        listed = "trainval" if part == "train" else part
        (root / "ImageSets" / "Main" / f"{listed}.txt").write_text("\n".join(BOXES[part]) + "\n")


def voc_parts(root: Path) -> None:
    for part in BOXES:
        pictures(root / part, part)
        for name, boxes in BOXES[part].items():
            if boxes:
                (root / part / f"{name}.xml").write_text(voc_text(boxes))


def yolo_text(boxes: list) -> str:
    return "".join(
        f"{NAMES.index(label)} {(left + right) / 80} {(top + bottom) / 40} "
        f"{(right - left) / 40} {(bottom - top) / 20}\n"
        for label, left, top, right, bottom in boxes
    )


def yolo(root: Path) -> None:
    for part in BOXES:
        folder = "val" if part == "test" else part
        pictures(root / "images" / folder, part)
        (root / "labels" / folder).mkdir(parents=True)
        for name, boxes in BOXES[part].items():
            if boxes:
                (root / "labels" / folder / f"{name}.txt").write_text(yolo_text(boxes))
    (root / "data.yaml").write_text("names: {0: cat, 1: dog}\n")


def packed_document() -> dict:
    train, test = coco_document("train"), coco_document("test")
    for record in (*train["images"], *test["images"]):
        record["split"] = "train" if record in train["images"] else "test"
    for record in (*test["images"], *test["annotations"]):
        key = "id" if "id" in record else "image_id"
        record[key] += 100
    return {name: [*train[name], *(test[name] if name != "categories" else [])] for name in train}


def packed(root: Path, name: str = "set") -> Path:
    (root / f"{name}.json").write_text(json.dumps(packed_document()))
    images = [np.full((20, 40, 3), (40 * place, 100, 50), np.uint8) for place in (0, 1, 2, 0, 1)]
    np.savez(root / f"{name}.npz", images=np.stack(images))
    return root / f"{name}.json"


def load(path: Path, **how) -> ExampleSet:
    return load_detection(DataRequest(str(path), **how))


def told(data: ExampleSet, part: str) -> list:
    targets = getattr(data, part).targets
    names = data.facts["classes"]
    found = []
    for boxes, labels in zip(targets["boxes"], targets["labels"], strict=True):
        edges = (boxes * (20, 40, 20, 40)).round(4)
        found.append(
            [
                (names[k], left, top, right, bottom)
                for (top, left, bottom, right), k in zip(edges, labels, strict=True)
                if k >= 0
            ]
        )
    return found


@pytest.mark.parametrize("write", [coco, coco_parts, voc, voc_parts, yolo], ids=lambda write: write.__name__)
def test_every_folder_gives_the_same_boxes(tmp_path: Path, write) -> None:
    write(tmp_path)
    data = load(tmp_path)
    assert data.facts["classes"] == ("cat", "dog")
    assert told(data, "train") == list(BOXES["train"].values())
    assert told(data, "test") == list(BOXES["test"].values())
    assert data.train.inputs["image"].shape == (3, 20, 40, 3)
    assert data.train.inputs["image"][1, 0, 0].tolist() == [40, 100, 50]


def test_packed_files_and_their_size(tmp_path: Path) -> None:
    data = load(packed(tmp_path), image_size=(10, 10), channels=1)
    assert told(data, "train") == list(BOXES["train"].values())
    assert told(data, "test") == list(BOXES["test"].values())
    assert data.train.inputs["image"].shape == (3, 10, 10, 1)


def test_a_folder_with_a_packed_set_alone_is_that_set(tmp_path: Path) -> None:
    packed(tmp_path)
    data = load(tmp_path)
    assert told(data, "train") == list(BOXES["train"].values())
    assert told(data, "test") == list(BOXES["test"].values())
    assert data.name == tmp_path.name


def test_jpeg_packed_corners_by_name_and_split_of_val(tmp_path: Path) -> None:
    import io

    document = packed_document() | {"bbox_format": "xyxy absolute pixels", "info": {"licence": "MIT"}}
    for record in document["annotations"]:
        left, top, width, height = record["bbox"]
        record["bbox"] = [left, top, left + width, top + height]
    document["images"][2]["split"] = "val"
    (tmp_path / "mine.json").write_text(json.dumps(document))
    files = []
    for _ in range(5):
        content = io.BytesIO()
        Image.new("RGB", (40, 20), (9, 100, 50)).save(content, "JPEG")
        files.append(content.getvalue())
    np.savez(
        tmp_path / "mine_images.npz", jpeg=np.frombuffer(b"".join(files), np.uint8), len=[len(one) for one in files]
    )
    data = load_detection(DataRequest("mine", tmp_path))
    assert (data.name, data.licence) == ("mine", "MIT")
    assert told(data, "train") == list(BOXES["train"].values())


def test_what_is_larger_than_the_memory_is_read_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coco(tmp_path)
    whole = load(tmp_path, image_size=(400, 400))
    monkeypatch.setenv("EDGENAS_DATA_MEMORY_MB", "1")
    streamed = load(tmp_path, image_size=(400, 400))
    assert streamed.train.streamed
    assert not whole.train.streamed
    assert streamed.train.checksum() == whole.train.checksum()
    assert told(streamed, "test") == list(BOXES["test"].values())


def test_without_a_test_part_one_is_split_off(tmp_path: Path) -> None:
    for number in range(5):
        pictures(tmp_path, "train")
        Image.new("RGB", (40, 20)).save(tmp_path / f"x{number}.png")
        (tmp_path / f"x{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    data = load(tmp_path)
    assert data.facts["classes"] == ("0",)
    assert (len(data.train), len(data.test)) == (6, 2)
    assert "no test part" in data.notes[0]


def test_groups_crowds_and_classes_that_are_wanted(tmp_path: Path) -> None:
    document = packed_document()
    document["annotations"][0] |= {"group": "young", "iscrowd": 1}
    document["images"][1]["group"] = "old"
    path = packed(tmp_path)
    path.write_text(json.dumps(document))
    data = load(path)
    assert data.facts["groups"] == ("old", "young")
    assert data.train.targets["groups"].tolist() == [[1, -1], [0, 0], [-1, -1]]
    assert data.train.targets["ignored"].tolist() == [[1, 0], [0, 0], [0, 0]]
    assert data.facts["boxes"] == (1, 1)
    only = load_detection(DataRequest(str(path)), ["dog"])
    assert only.facts["classes"] == ("dog",)
    assert only.train.targets["labels"].tolist() == [[-1, -1], [0, -1], [-1, -1]]
    with pytest.raises(InputError, match="no class 'bird'; expected some of cat, dog"):
        load_detection(DataRequest(str(path)), ["bird"])


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([24, 2, -20, 10], "annotations[0] (image a.png, class cat): left 24 is right of right 4: the two are swapped"),
        ([4, 12, 20, -10], "top 12 is below bottom 2"),
        ([4, 2, 0, 10], "is empty: 0 pixels wide and 10 high; remove it"),
        ([30, 2, 20, 10], "30, 2, 50, 12 (left, top, right, bottom) lies outside of the image of 40x20 pixels"),
        ([50, 2, 5, 5], "lies outside"),
        ([float("nan"), 2, 5, 5], "are not four numbers"),
        ([1, 2, 3], "bbox is [1, 2, 3]; expected four numbers [x, y, width, height] in pixels"),
        ("box", "bbox is 'box'"),
        (None, "bbox is None"),
    ],
)
def test_broken_boxes(tmp_path: Path, box, words: str) -> None:
    document = packed_document()
    document["annotations"][0]["bbox"] = box
    path = packed(tmp_path)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"{path}: annotations[0]")
    assert "\n" not in message


def test_a_pixel_over_the_edge_is_cut_and_told(tmp_path: Path) -> None:
    document = packed_document()
    document["annotations"][0]["bbox"] = [-0.5, 2, 41, 10]
    path = packed(tmp_path)
    path.write_text(json.dumps(document))
    data = load(path)
    assert data.train.targets["boxes"][0, 0].tolist() == pytest.approx([0.1, 0, 0.6, 1])
    assert data.notes == ("1 boxes that reached over the edge of their image by a pixel or 1 % were cut there",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["annotations"][1].update(category_id=9), "annotations[1]: category_id 9 is of no category"),
        (lambda d: d["annotations"][1].update(image_id=55), "annotations[1]: image_id 55 is of no image"),
        (lambda d: d["annotations"].append(3), "annotations[5]: image_id is None"),
        (
            lambda d: d["categories"].append({"id": 4, "name": "x"}),
            "categories[2]: the id 4 or the name 'x' is there twice",
        ),
        (lambda d: d["images"][1].update(id=7), "images[1]: the id 7 is there twice"),
        (lambda d: d["images"][1].update(file_name=3), "images[1]: file_name is 3; expected a text"),
        (lambda d: d["images"][0].update(width=80), "says that a.png has 80x20 pixels (width x height), it has 40x20"),
        (lambda d: d["images"][0].update(split="dev"), "images[0]: split is 'dev'"),
        (lambda d: d.pop("images"), "expected COCO's lists images, annotations, categories"),
        (lambda d: d["images"].pop(), "is of no image"),
        (lambda d: d.update(annotations=[]), "no boxes in the train part"),
    ],
)
def test_broken_documents(tmp_path: Path, change, words: str) -> None:
    path, document = packed(tmp_path), packed_document()
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


JUNK = [None, True, -1, 0, 10**400, 1e308, float("nan"), "", "x", [], [1], {}, {"a": 1}, [[]], "../x"]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(JUNK))
def test_no_document_ends_in_a_traceback(random, junk) -> None:
    """One value anywhere in a document is replaced: it is read, or one line says what is wrong."""
    document = packed_document()
    place, key = document, random.choice(list(document))
    while isinstance(place[key], (dict, list)) and place[key] and random.random() < 0.8:
        place = place[key]
        key = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
    place[key] = junk
    with tempfile.TemporaryDirectory() as folder:
        path = packed(Path(folder))
        path.write_text(json.dumps(document))
        try:
            load(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0.5 0.5", "line 1 is '0 0.5 0.5'; expected five numbers: class, centre x"),
        ("0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.2 0.3 0.3", "line 2 is '1 0.1 0.1 0.2 0.2 0.3 0.3' (an outline"),
        ("x 0.5 0.5 0.2 0.2", "line 1 is"),
        ("7 0.5 0.5 0.2 0.2", "line 1: class 7 has no name: there are 2 names"),
        ("0 20 10 8 4", "are no shares of the image's sides"),
        ("0 0.9 0.5 0.6 0.2", "line 1 (image a.png, class cat): 24, 8, 48, 12 (left, top, right, bottom) lies outside"),
        ("0 0.5 0.5 0 0.2", "is empty"),
    ],
)
def test_broken_lines(tmp_path: Path, text: str, words: str) -> None:
    yolo(tmp_path)
    path = tmp_path / "labels" / "train" / "a.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation><object>", "not an XML document"),
        ("<a/>", "begins with <a>; expected <annotation>"),
        ("<annotation><object><name>cat</name></object></annotation>", "object 1: bndbox has xmin ''"),
        ("<annotation><object><bndbox/></object></annotation>", "object 1 has no name"),
        (voc_text([("cat", 24, 2, 4, 12)]), "object 1 (image a.png, class cat): left 24 is right of right 4"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "has a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "has a document type"),
        ("<annotation>" + "<a>" * 60 + "</a>" * 60 + "</annotation>", "more than 50 deep"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "not a readable XML document"),
    ],
)
def test_broken_xml(tmp_path: Path, text: str, words: str) -> None:
    voc_parts(tmp_path)
    path = tmp_path / "train" / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def test_what_does_not_belong_together(tmp_path: Path) -> None:
    voc_parts(tmp_path)
    (tmp_path / "train" / "z.xml").write_text(voc_text([]))
    with pytest.raises(InputError, match=r"z\.xml: annotations of no image; expected an image z"):
        load(tmp_path)
    (tmp_path / "train" / "z.xml").unlink()
    Image.new("RGB", (12, 8)).save(tmp_path / "train" / "c.png")
    with pytest.raises(InputError, match=r"c\.png: 8x12 pixels .* set image_size"):
        load(tmp_path)
    assert load(tmp_path, image_size=(8, 8)).train.inputs["image"].shape == (3, 8, 8, 3)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "none/")
    with pytest.raises(InputError, match="'cars' not found: looked for"):
        load_detection(DataRequest("cars", tmp_path))
    coco(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(InputError, match=r"instances_train2017\.json: there is no image 'a\.png'"):
        load(tmp_path)
    (tmp_path / "only").mkdir()
    pictures(tmp_path / "only", "train")
    with pytest.raises(InputError, match="images, but no annotations"):
        load(tmp_path / "only")
    (tmp_path / "x.json").write_text(json.dumps(packed_document()))
    with pytest.raises(InputError, match=r"no x_images\.npz or x\.npz beside it; for COCO's files name the folder"):
        load(tmp_path / "x.json")


def test_names_of_images_stay_in_the_folder(tmp_path: Path) -> None:
    coco_parts(tmp_path)
    document = coco_document("train")
    document["images"][0]["file_name"] = "../../secret.png"
    (tmp_path / "train" / "_annotations.coco.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="lies outside of the folder"):
        load(tmp_path)
