"""The C header: the model's own bytes and constants, as a C compiler sees them; and the estimate of the arena."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgenas.export.bundle.c_header import LARGEST_BYTES, c_header, header_bytes
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.arena import estimate_arena
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import model_io
from edgenas.spaces.blocks import BoxHead, ClassHead, ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node, chain
from edgenas.spaces.tensor import TensorSpec

GRAPH = chain("two", (8, 6, 3), {"stem": ConvBnAct(16, 3), "head": ClassifierHead(4)}).graph
MODEL = write_tflite(GRAPH, "int8")
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "model.h"
int main(void) {
    unsigned long sum = 0;
    for (unsigned int i = 0; i < model_length; ++i) sum = sum * 31 % 1000003 + model_data[i];
    printf("%u %lu %d %d %d %d %.9g %d %.9g %d\\n", model_length, sum, (int)((uintptr_t)model_data % 16),
           MODEL_INPUT_HEIGHT, MODEL_INPUT_WIDTH, MODEL_INPUT_CHANNELS, (double)MODEL_INPUT_SCALE,
           MODEL_INPUT_ZERO_POINT, (double)MODEL_OUTPUT_SCALE, MODEL_OUTPUT_ZERO_POINT);
    return sizeof(MODEL_INPUT_TYPE) != 1 || MODEL_ARENA_BYTES <= 0 || MODEL_OUTPUT_SIZE != 4;
}
"""


@pytest.mark.parametrize("compiler", ["cc", "c++"])
def test_compilers_see_the_same_bytes_and_constants(tmp_path: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    (tmp_path / "model.h").write_text(c_header(MODEL, name="two"))
    (tmp_path / "main.c").write_text(PROGRAM)
    language = ["-x", "c++", "-std=c++11"] if compiler == "c++" else ["-std=c11"]
    command = [compiler, *language, "-Wall", "-Werror", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split()
    total = 0
    for byte in MODEL:
        total = total * 31 % 1000003 + byte
    ends = model_io(MODEL)
    assert printed[:6] == [str(len(MODEL)), str(total), "0", "8", "6", "3"]
    assert float(printed[6]) == pytest.approx(ends.inputs[0].scale[0], rel=1e-8)
    assert int(printed[7]) == ends.inputs[0].zero_point[0]
    assert float(printed[8]) == pytest.approx(ends.outputs[0].scale[0], rel=1e-8)
    assert int(printed[9]) == ends.outputs[0].zero_point[0]


CONSTANTS = """
#include <stdio.h>
#include "model.h"
int main(void) {
    for (int pixel = 0; pixel < 256; pixel += 51)
        for (int channel = 0; channel < 3; ++channel) printf("%d ", model_input_of((unsigned char)pixel, channel));
    printf("\\n");
    for (int label = 0; label < MODEL_LABEL_COUNT; ++label) printf("%s\\n", model_labels[label]);
    return 0;
}
"""
RESOLVER = """
#include "model.h"
struct Resolver {
    int count = 0;
    void AddConv2D() { ++count; }
    void AddFullyConnected() { ++count; }
    void AddMean() { ++count; }
};
int main() {
    Resolver resolver;
    MODEL_ADD_OPERATORS(resolver);
    return resolver.count != MODEL_OPERATOR_COUNT;
}
"""


@pytest.mark.parametrize("compiler", ["cc", "c++"])
def test_a_program_normalises_and_names_as_python_does(tmp_path: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    labels = ['say "hi"', "Zoë", "what??/", "back\\slash"]
    preprocessing = Preprocessing((0.5, 0.4, 0.3), (0.25, 0.2, 1.0))
    (tmp_path / "model.h").write_text(c_header(MODEL, name="two", labels=labels, preprocessing=preprocessing))
    (tmp_path / "main.c").write_text(CONSTANTS)
    language = ["-x", "c++", "-std=c++11"] if compiler == "c++" else ["-std=c11", "-Wextra"]
    command = [compiler, *language, "-Wall", "-Werror", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode().splitlines()
    assert printed[1:] == labels
    pixels = np.repeat(np.arange(0, 256, 51, dtype=np.uint8)[:, None], 3, axis=1)
    tensor = model_io(MODEL).inputs[0]
    stored = np.rint(preprocessing.apply(pixels) / tensor.scale[0]) + tensor.zero_point[0]
    assert [int(number) for number in printed[0].split()] == np.clip(stored, -128, 127).astype(int).ravel().tolist()


def test_the_operators_register_themselves(tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no c++")
    (tmp_path / "model.h").write_text(c_header(MODEL, name="two"))
    (tmp_path / "main.cc").write_text(RESOLVER)
    subprocess.run(["c++", "-std=c++11", "-Wall", "-Werror", "main.cc", "-o", "main"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "main"], check=True)
    assert "Operators: CONV_2D, FULLY_CONNECTED, MEAN." in (tmp_path / "model.h").read_text()


def test_reads_back() -> None:
    assert header_bytes(c_header(MODEL, name="two")) == MODEL
    with pytest.raises(InputError, match="not the header"):
        header_bytes("int x;")


def test_names_cannot_break_out_of_the_comment() -> None:
    header = c_header(MODEL, name="evil */ int x; /*\n#error")
    assert header.splitlines()[0].count("*/") == 0
    assert not header.splitlines()[1].startswith("#")
    with pytest.raises(InputError, match="identifier"):
        c_header(MODEL, name="x", prefix="1; x")


def test_several_outputs_are_numbered() -> None:
    nodes = (
        Node("stem", ConvBnAct(8, stride=4), ("image",)),
        Node("boxes", BoxHead(2), ("stem",)),
        Node("classes", ClassHead(2, classes=3), ("stem",)),
    )
    network = Network("d", (("image", TensorSpec((8, 8, 3))),), nodes, ("boxes", "classes"))
    header = c_header(write_tflite(network.graph, "int8"), name="a detector")
    for number, size in ((0, 8 * 4), (1, 8 * 3)):
        assert f"#define MODEL_OUTPUT{number}_SIZE {size}\n" in header
        assert f"#define MODEL_OUTPUT{number}_SCALE" in header


def test_what_fits_no_microcontroller_is_refused() -> None:
    with pytest.raises(InputError, match="up to"):
        c_header(MODEL + bytes(LARGEST_BYTES), name="x")


def test_the_arena_of_a_chain_is_its_largest_pair_of_neighbours() -> None:
    # Input 8x6x3 = 144 bytes, stem 8x6x16 = 768; then 16 means and 4 logits, each padded to 16 bytes.
    assert estimate_arena(MODEL).activation_bytes == 144 + 768
    assert estimate_arena(write_tflite(GRAPH, "float32")).activation_bytes == 4 * (144 + 768)
    assert estimate_arena(MODEL).total_bytes % 1024 == 0
