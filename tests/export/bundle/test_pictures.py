"""Pictures mean what a viewer shows, or are refused in words: never a hang, never gigabytes."""

import os
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from edgenas.export.bundle.pictures import MAX_PIXELS, PictureError, picture_is_grey, read_picture


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path, width, height, depth, colour, rows, *extra):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def pixels(path, channels=None):
    return read_picture(path, channels)[0].tolist()[0]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bits_are_scaled(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.array([[0, 257, 32768, 65535]], np.uint16)).save(path)
    found, notes = read_picture(path, None)
    assert found.ravel().tolist() == [0, 1, 128, 255]
    assert notes == {"scaled from 16 to 8 bits"}
    assert picture_is_grey(path)


def test_16_bits_with_colour_and_transparency(tmp_path):
    three, one = struct.pack(">3H", 1000, 2000, 3000), struct.pack(">H", 1000)
    rows = b"\0" + struct.pack(">3H", 65535, 0, 32768) + three
    assert pixels(png(tmp_path / "a.png", 2, 1, 16, 2, rows)) == [[255, 0, 128], [3, 7, 11]]
    assert pixels(png(tmp_path / "b.png", 2, 1, 16, 2, rows, chunk(b"tRNS", three))) == [[255, 0, 128], [255] * 3]
    rows = b"\0" + struct.pack(">H", 32768) + one
    assert pixels(png(tmp_path / "c.png", 2, 1, 16, 0, rows, chunk(b"tRNS", one)), 1) == [[128], [255]]
    rows = b"\0" + struct.pack(">4H", 32768, 65535, 1000, 0)
    assert pixels(png(tmp_path / "d.png", 2, 1, 16, 4, rows), 1) == [[128], [255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 2**31 - 1, 2**30]], np.int32), [0, 255, 128]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 255]], np.int32), "32-bit whole numbers from 0 to 255, where white should be 2147483647"),
        (np.array([[-1, 2**30]], np.int32), "from -1 to"),
        (np.array([[0, 255]], np.float32), "floats from 0 to 255; expected 0"),
        (np.array([[0, np.nan]], np.float32), "floats from nan"),
    ],
)
def test_32_bits(tmp_path, values, expected):
    Image.fromarray(values).save(tmp_path / "a.tif")
    if isinstance(expected, list):
        assert read_picture(tmp_path / "a.tif", None)[0].ravel().tolist() == expected
    else:
        with pytest.raises(PictureError, match=expected):
            read_picture(tmp_path / "a.tif", None)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 10))
def test_all_orientations_stand_upright(tmp_path, suffix, orientation):
    shown = np.zeros((32, 48), np.uint8)
    shown[:8, :8], shown[:8, -8:] = 255, 128  # white top left, grey top right
    stored = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: a[::-1].T[::-1, ::-1],
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: a[:, ::-1].T[::-1, ::-1],
    }.get(orientation, lambda a: a)(shown)
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    image.convert("RGB").save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    found, notes = read_picture(path, 1)
    assert found.shape == (32, 48, 1)
    assert np.abs(found[..., 0].astype(int) - shown).max() < 12
    assert bool(notes) == (2 <= orientation <= 8)


def test_transparency_is_put_on_white(tmp_path):
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(255, 0, 0, 0), (255, 0, 0, 255), (0, 0, 0, 51)])
    rgba.save(tmp_path / "a.png")
    found, notes = read_picture(tmp_path / "a.png", None)
    assert found[0].tolist() == [[255, 255, 255], [255, 0, 0], [204, 204, 204]]
    assert notes == {"transparency was put on white"}
    Image.new("RGBA", (1, 1), (1, 2, 3, 255)).save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png", None)[1] == set()
    grey = Image.new("LA", (2, 1))
    grey.putdata([(0, 0), (100, 255)])
    grey.save(tmp_path / "c.png")
    assert pixels(tmp_path / "c.png") == [[255], [100]]


def test_other_kinds(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    palette.save(tmp_path / "p.png")
    assert pixels(tmp_path / "p.png") == [[10, 20, 30], [40, 50, 60]]
    palette.save(tmp_path / "t.png", transparency=0)
    assert pixels(tmp_path / "t.png") == [[255, 255, 255], [40, 50, 60]]
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 255])
    bits.save(tmp_path / "1.png")
    assert pixels(tmp_path / "1.png") == [[0], [255]]
    Image.new("CMYK", (1, 1), (255, 0, 0, 0)).save(tmp_path / "c.jpg")
    assert pixels(tmp_path / "c.jpg") == [[0, 255, 255]]
    gamma = chunk(b"gAMA", struct.pack(">I", 100_000))
    assert pixels(png(tmp_path / "g.png", 2, 1, 8, 0, b"\0\x80\x40", gamma)) == [[128], [64]]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_of_an_animation(tmp_path, suffix):
    first, second = Image.new("RGB", (4, 3), "red"), Image.new("RGB", (4, 3), "blue")
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second], **options)
    found, notes = read_picture(tmp_path / f"a.{suffix}", 3)
    assert found[0, 0].tolist() == [255, 0, 0]
    assert any("first frame" in note for note in notes)


def test_what_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**8)))
    png(tmp_path / "bomb.png", 1, 1, 8, 0, b"\0\1", text)
    png(tmp_path / "huge.png", 20_000, 10_000, 8, 0, b"")
    png(tmp_path / "large.png", 7_500, MAX_PIXELS // 7_500 + 1, 8, 0, b"")
    for name, words in [
        ("pipe.png", "no regular file"),
        ("loop.png", "cannot be read"),
        ("empty.png", "it is empty"),
        ("text.png", "not a readable image"),
        ("bomb.png", "not a readable image"),
        ("huge.png", "200000000 pixels; from 1 to 50 million"),
        ("large.png", "7500 x 6667 pixels; from 1 to 50 million"),
        ("none.png", "No such file"),
        ("x" * 300, "name too long"),
        ("a\0b", "null"),
    ]:
        with pytest.raises(PictureError, match=words) as caught:
            read_picture(tmp_path / name, 3)
        assert len(str(caught.value).splitlines()) == 1


def test_damaged_pictures_are_read_or_refused(tmp_path):
    rng = random.Random(0)
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for suffix in ("png", "jpg", "gif", "tif", "webp", "bmp", "ppm"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(noise).save(path)
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
            for _ in range(rng.randrange(1, 6)):
                if content:
                    content[rng.randrange(min(len(content), rng.choice((100, 10**6))))] = rng.randrange(256)
            path.write_bytes(content)
            message = "read"
            try:
                read_picture(path, 3, (8, 8))
            except PictureError as error:
                message = str(error)
            assert len(message.splitlines()) == 1
