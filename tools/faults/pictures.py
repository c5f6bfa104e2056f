"""Folders of pictures: every kind of picture, damaged ones, bombs, things that are no files, and odd names."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from faults.mutations import mutate_bytes
from faults.runner import Job
from faults.scene import Scene
from faults.yaml_kinds import REAL_EVERY

SIDE = 12


def pictures(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``edgenas search``, up to the first training, of a folder with one odd thing in it."""
    for index in range(count):
        rng, place = np.random.default_rng([seed, 6, index]), folder / str(index)
        make_folder(place / "data", rng)
        with contextlib.suppress(OSError):  # a name or a thing that this file system does not take
            add_fault(place / "data", rng)
        text = scene.recipe(device="edgetpu-sim", data=place / "data")
        if rng.random() < 0.6:
            extra = ["image_size: [12, 12]", "image_size: [8, 20], channels: 3", "channels: 1", "channels: 3"]
            text = text.replace('/data"}', f'/data", {extra[int(rng.integers(4))]}}}')
        (place / "recipe.yaml").write_text(text)
        yield Job(
            f"pictures/{index}", ("search", "recipe.yaml", "-o", "run"), place, "accept", real=index % REAL_EVERY == 7
        )


def make_folder(root: Path, rng: np.random.Generator) -> None:
    """Four classes with a few small pictures each."""
    for part, count in (("train", 6), ("test", 3)):
        for name in ("ant", "bee", "cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")


def add_fault(root: Path, rng: np.random.Generator) -> None:
    """Puts one odd thing into the folder."""
    kinds = (_picture, _picture, _damaged, _damaged, _damaged, _chunks, _chunks, _no_file, _names, _structure)
    kinds[int(rng.integers(len(kinds)))](root, rng)


def _place(root: Path, rng: np.random.Generator, suffix: str) -> Path:
    part, name = str(rng.choice(["train", "train", "test"])), str(rng.choice(["ant", "dog"]))
    return root / part / name / f"odd{suffix}"


def _encoded(rng: np.random.Generator) -> tuple[bytes, str]:
    """(a valid picture of a random kind, its suffix)."""
    mode, kind = _KINDS[int(rng.integers(len(_KINDS)))]
    side = SIDE if rng.random() < 0.7 else int(rng.choice([1, 5, 40, 300]))
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (side, side), dtype=np.uint16))
    elif mode in ("I", "F"):
        image = Image.fromarray(rng.integers(0, 65536, (side, side)).astype(np.int32 if mode == "I" else np.float32))
    else:
        image = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).convert(mode)
    options: dict[str, object] = {}
    if kind in ("JPEG", "WEBP", "PNG") and rng.random() < 0.3:
        exif = Image.Exif()
        exif[0x0112] = int(rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200]))
        options["exif"] = exif.tobytes() if rng.random() < 0.7 else mutate_bytes(exif.tobytes(), rng)
    if kind == "PNG" and rng.random() < 0.3 and mode in ("L", "RGB", "P"):
        options["transparency"] = 0 if mode != "RGB" else (0, 0, 0)
    if kind in ("PNG", "JPEG", "WEBP") and rng.random() < 0.15:
        options["icc_profile"] = rng.integers(0, 256, 300, dtype=np.uint8).tobytes()
    if kind in ("GIF", "WEBP", "TIFF", "PNG") and rng.random() < 0.15:
        options |= {"save_all": True, "append_images": [image] * int(rng.integers(1, 5))}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    suffix = {"JPEG": ".jpg", "TIFF": ".png", "GIF": ".png", "PPM": ".bmp", "ICO": ".png", "TGA": ".bmp"}.get(kind)
    return buffer.getvalue(), suffix or f".{kind.lower()}"


_KINDS = tuple(
    (mode, kind)
    for kind, modes in {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"),
        "JPEG": ("L", "RGB", "CMYK", "YCbCr"),
        "BMP": ("1", "L", "P", "RGB", "RGBA"),
        "WEBP": ("RGB", "RGBA"),
        "TIFF": ("L", "F", "LAB", "CMYK", "I;16"),
        "GIF": ("P",),
        "PPM": ("RGB",),
        "ICO": ("RGBA",),
        "TGA": ("RGB",),
    }.items()
    for mode in modes
)


def _picture(root: Path, rng: np.random.Generator) -> None:
    content, suffix = _encoded(rng)
    if rng.random() < 0.2:
        suffix = str(rng.choice([".png", ".JPG", ".bmp", ".webp", ".jpeg", ".PNG"]))
    _place(root, rng, suffix).write_bytes(content)


def _damaged(root: Path, rng: np.random.Generator) -> None:
    content, suffix = _encoded(rng)
    _place(root, rng, suffix).write_bytes(mutate_bytes(content, rng, int(rng.integers(1, 5))))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, depth: int, colour: int, pixels: bytes, *more: bytes) -> bytes:
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return start + b"".join(more) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunks(root: Path, rng: np.random.Generator) -> None:
    """PNGs, JPEGs and BMPs whose parts are well-formed and hostile."""
    rows = zlib.compress((b"\x00" + bytes(SIDE)) * SIDE)
    zeros = _zeros(64 << 20)
    large = int(rng.choice([2000, 9000, 14000, 20000, 30000, 65500, 2**31 - 1, 0]))
    makers: list[Callable[[], bytes]] = [
        lambda: _png(large, large, 8, 0, rows),
        lambda: _png(large, 1, 8, 2, rows),
        lambda: _png(20000, 10000, 8, 0, _zeros(200_010_000)),
        lambda: _png(12000, 7000, 8, 2, zeros),
        lambda: _png(SIDE, SIDE, 8, 0, rows, _chunk(b"zTXt", b"a\x00\x00" + zeros)),
        lambda: _png(SIDE, SIDE, 8, 0, rows, _chunk(b"iTXt", b"a\x00\x01\x00\x00\x00" + zeros)),
        lambda: _png(SIDE, SIDE, 8, 0, rows, *([_chunk(b"tEXt", b"a\x00" + b"b" * 1_000_000)] * 70)),
        lambda: _png(SIDE, SIDE, 8, 0, rows, _chunk(b"iCCP", b"a\x00\x00" + zeros)),
        lambda: _png(
            SIDE, SIDE, 8, 0, rows, _chunk(b"gAMA", struct.pack(">I", int(rng.choice([0, 1, 45455, 2**32 - 1]))))
        ),
        lambda: _png(SIDE, SIDE, 8, 0, rows, _chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        lambda: _png(SIDE, SIDE, 8, 0, rows, _chunk(b"eXIf", rng.integers(0, 256, 60, dtype=np.uint8).tobytes())),
        lambda: _png(SIDE, SIDE, int(rng.choice([0, 1, 2, 3, 4, 16, 32])), int(rng.integers(8)), rows),
        lambda: _png(SIDE, SIDE, 8, 3, rows),
        lambda: _png(SIDE, SIDE, 8, 3, rows, _chunk(b"PLTE", b"abc" * 300)),
        lambda: _png(SIDE, SIDE, 8, 0, zeros),
        lambda: _png(SIDE, SIDE, 8, 0, b""),
        lambda: _png(SIDE, SIDE, 8, 0, rows[:-6]),
        lambda: (
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, large, -large, 1, 24, 0, 0, 0, 0, 0, 0)
        ),
        lambda: (
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 30000, 30000, 1, 8, 1, 0, 0, 0, 0, 0)
            + bytes(2000)
        ),
        lambda: _large_jpeg(min(large, 65500), rng),
        _text_picture,
    ]
    content = makers[int(rng.integers(len(makers)))]()
    _place(root, rng, str(rng.choice([".png", ".png", ".jpg"]))).write_bytes(content)


def _zeros(count: int) -> bytes:
    packer = zlib.compressobj(1)
    block, parts = bytes(1 << 20), []
    while count > 0:
        parts.append(packer.compress(block[: min(count, len(block))]))
        count -= len(block)
    return b"".join([*parts, packer.flush()])


def _large_jpeg(side: int, rng: np.random.Generator) -> bytes:
    """A small JPEG that says that it is a large one."""
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    at = content.find(b"\xff\xc0")
    struct.pack_into(">HH", content, at + 5, side, side)
    return bytes(content)


def _text_picture() -> bytes:
    info = PngImagePlugin.PngInfo()
    for number in range(2000):
        info.add_text(f"key{number}", "value" * 100, zip=True)
    buffer = io.BytesIO()
    Image.new("L", (SIDE, SIDE)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _no_file(root: Path, rng: np.random.Generator) -> None:
    """Things with a picture's name that are no files, and files that are no pictures."""
    path = _place(root, rng, ".png")
    kind = int(rng.integers(12))
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(path)
    elif kind == 2:
        path.symlink_to("/dev/zero")
    elif kind == 3:
        path.symlink_to("nowhere.png")
    elif kind == 4:
        path.mkdir()
    elif kind == 5:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == 6:
        path.symlink_to("/dev/tty")
    elif kind == 7:
        path.symlink_to(root, target_is_directory=True)
    elif kind == 8:
        (path.parent / "loop").symlink_to(root / "train", target_is_directory=True)
    elif kind == 9:
        path.write_bytes(b"")
    elif kind == 10:
        path.write_text("<html>not found</html>")
    else:
        path.symlink_to("/proc/self/mem")


def _names(root: Path, rng: np.random.Generator) -> None:
    """Odd names of classes and files."""
    odd = [
        *(
            "a\nb",
            "\x1b[31mred",
            "x" * 255,
            "猫",
            "a b",
            "-rf",
            "%s",
            "{0}",
            "é",
            "e\u0301",
            "?x#y",
            "'",
            '"',
            "\\",
            "a,b",
            "\t",
        ),
        *(
            " ",
            "~",
            "*",
            "CON",
            "train",
            "0",
            "\u202ertl",
            "\ufeff",
            "😀" * 60,
            ".hidden",
            "__MACOSX",
            "Thumbs.db",
            "$(id)",
        ),
    ]
    name: bytes = odd[int(rng.integers(len(odd)))].encode() if rng.random() < 0.85 else b"\xff\xfe\x80"
    base = os.fsencode(root)
    if rng.random() < 0.6:
        for part in (b"train", b"test"):
            os.rename(os.path.join(base, part, b"cat"), os.path.join(base, part, name))
    else:
        os.rename(
            os.path.join(base, b"train", b"cat", b"0.png"), os.path.join(base, b"train", b"cat", name[:240] + b".png")
        )


def _structure(root: Path, rng: np.random.Generator) -> None:
    """Missing, empty and additional folders and files."""
    kind = int(rng.integers(14))
    cat = root / "train" / "cat"
    if kind == 0:
        _remove(root / "test")
    elif kind == 1:
        _remove(root / "test" / "cat")
    elif kind == 2:
        _remove(cat)
    elif kind == 3:
        _remove(cat)
        cat.mkdir()
    elif kind == 4:
        (root / "test" / "zebra").mkdir()
        (root / "test" / "cat" / "0.png").rename(root / "test" / "zebra" / "0.png")
    elif kind == 5:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png", ".hidden.png"):
            (cat / name).write_bytes(b"\x00\x01junk")
    elif kind == 6:
        (root / "train" / "__MACOSX").mkdir()
        (root / "train" / "__MACOSX" / "._0.png").write_bytes(b"junk")
    elif kind == 7:
        (root / "train" / "readme.txt").write_text("hello")
        (cat / "notes.txt").write_text("hello")
    elif kind == 8:
        deep = cat / Path(*["d"] * 60)
        deep.mkdir(parents=True)
        (cat / "0.png").rename(deep / "0.png")
    elif kind == 9:
        for path in (root / "train").rglob("*.png"):
            if path.name != "0.png":
                path.unlink()
    elif kind == 10:
        _remove(root / "train")
    elif kind == 11:
        for name in ("bee", "cat", "dog"):
            for part in ("train", "test"):
                _remove(root / part / name)
    elif kind == 12:
        (root / "train").rename(root / "Train")
    else:
        for part in ("train", "test"):
            for path in (root / part).rglob("*.png"):
                Image.new("L", (SIDE, SIDE), 255).save(path)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()
