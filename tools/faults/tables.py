"""Latency tables: damaged files, and files whose checksum is right and whose content is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.space.search_space import SearchSpace
from faults.mutations import mutate_bytes, mutate_text
from faults.runner import Job
from faults.scene import Scene
from faults.yaml_kinds import REAL_EVERY

_CELLS = (
    *(
        "",
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "1e400",
        "1e-400",
        "1",
        "abc",
        "1,5",
        "0x10",
        "1_0",
        "9" * 5000,
        "٣",
        "None",
    ),
    *(
        '"',
        '"a\nb"',
        "a\x00b",
        "\x1b[31m",
        "猫",
        " 1 ",
        "True",
        "[]",
        "{}",
        "1e309",
        "-0.0",
        "1.0.0",
        "conv()",
        "a" * 70000,
    ),
)
_JSON = (
    *(
        "{}",
        "[]",
        "null",
        "1",
        '"a"',
        "{",
        '{"a": NaN}',
        '{"networks": -1}',
        '{"mape": "x"}',
        "[" * 5000,
        "NaN",
        "1e999",
    ),
    *('{"a": ' * 500, '{"error": {"mape": 1e999}}'),
)


def tables(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``table show``, ``diff`` and ``merge``, ``predict``, and ``search`` with damaged tables."""
    texts = [scene.table.read_text(), *(path.read_text() for path in sorted(scene.home.glob("tables/*.csv")))]
    space = SearchSpace.load(scene.space)
    rng = np.random.default_rng([seed, 4])
    model = write_tflite(space.decode(space.architecture(space.sample(rng, 1)[0])).graph, "int8")
    commands: tuple[tuple[tuple[str, ...], str], ...] = (
        (("table", "show", "table.csv"), "none"),
        (("search", "recipe.yaml", "-o", "run"), "accept"),
        (("predict", "model.tflite", "--table", "table.csv", "--json"), "none"),
        (("table", "diff", str(scene.table), "table.csv"), "none"),
        (("table", "merge", "table.csv", str(scene.table), "-o", "merged.csv"), "none"),
        (("table", "show", "table.csv", "--json"), "none"),
        (("profile", "--space", str(scene.space), "--table", "table.csv", "--device", "edgetpu-sim"), "none"),
    )
    for index in range(count):
        rng, place = np.random.default_rng([seed, 4, index]), folder / str(index)
        place.mkdir(parents=True)
        (place / "table.csv").write_bytes(damaged(texts[index % len(texts)], rng))
        (place / "model.tflite").write_bytes(model)
        (place / "recipe.yaml").write_text(scene.recipe(table=str(place / "table.csv")))
        argv, stand_in = commands[index % len(commands)]
        yield Job(f"tables/{index}", argv, place, stand_in, real=index % REAL_EVERY == 7)


def damaged(text: str, rng: np.random.Generator) -> bytes:
    """Wrong cells, headers or lines; two times of three the checksum is made right again."""
    kind = rng.random()
    if kind < 0.15:
        return mutate_bytes(text.encode(), rng, int(rng.integers(1, 4)))
    body = text.rpartition("# sha256:")[0] if "# sha256:" in text else text
    if kind < 0.35:
        body = mutate_text(body, rng, int(rng.integers(1, 4))).decode("utf-8", "replace")
    elif kind < 0.65:
        for _ in range(int(rng.integers(1, 4))):
            body = _other_cell(body, rng)
    elif kind < 0.9:
        body = _other_header(body, rng)
    else:
        body = _many_lines(body, rng)
    content = body.encode("utf-8", "replace")
    if rng.random() < 0.67:
        content += f"# sha256: {hashlib.sha256(content).hexdigest()}\n".encode()
    return content


def _other_cell(body: str, rng: np.random.Generator) -> str:
    lines = body.splitlines(keepends=True)
    rows = [row for row, line in enumerate(lines) if not line.startswith("#")]
    if not rows:
        return body
    row = rows[int(rng.integers(len(rows)))]
    cells = lines[row].rstrip("\n").split(",")
    cells[int(rng.integers(len(cells)))] = _CELLS[int(rng.integers(len(_CELLS)))]
    if rng.random() < 0.2:
        cells = cells * 2 if rng.random() < 0.5 else cells[: len(cells) // 2]
    lines[row] = ",".join(cells) + "\n"
    return "".join(lines)


def _other_header(body: str, rng: np.random.Generator) -> str:
    lines = body.splitlines(keepends=True)
    headers = [row for row, line in enumerate(lines) if line.startswith("#")]
    if not headers:
        return body
    row = headers[int(rng.integers(len(headers)))]
    key = lines[row][1:].partition(":")[0].strip()
    values = _JSON if key in ("calibration", "energy") or rng.random() < 0.2 else _CELLS
    value = values[int(rng.integers(len(values)))]
    kind = int(rng.integers(4))
    if kind == 0:
        del lines[row]
    elif kind == 1:
        lines.insert(row, lines[row])
    else:
        lines[row] = f"# {key}: {value}\n"
    if rng.random() < 0.3:
        lines.insert(row, f"# {rng.choice(['calibration', 'energy', 'kind', 'frequency_mhz', 'x'])!s}: {value}\n")
    return "".join(lines)


def _many_lines(body: str, rng: np.random.Generator) -> str:
    lines = body.splitlines(keepends=True)
    row = int(rng.integers(len(lines)))
    kind = int(rng.integers(4))
    if kind == 0:
        return "".join([*lines, *(f"x{i}@1x1x1/int8,0.1,0,1,1\n" for i in range(50_000))])
    if kind == 1:
        return "".join([*lines[:row], "#" * 3_000_000, "\n", *lines[row:]])
    if kind == 2:
        return "".join([*lines[:row], *([lines[row]] * 2000), *lines[row:]])
    return "".join(lines[row:] + lines[:row])
