"""The maker's compiler: its logs, its failures, and its absence. The logs have the format of real ones."""

from __future__ import annotations

import os
import stat

import pytest

from edgenas.export.compilers.edgetpu.compiler import compile_for_edgetpu, find_compiler, parse_log
from edgenas.spaces.errors import WorkError

LOG = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2270 ms.

Input model: model.tflite
Input size: 5.21MiB
Output model: model_edgetpu.tflite
Output size: 6.51MiB
On-chip memory used for caching model parameters: 6.02MiB
On-chip memory remaining for caching model parameters: 7.75KiB
Off-chip memory used for streaming uncached model parameters: 175.00KiB
Number of Edge TPU subgraphs: 1
Total number of operations: 84
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will instead run on the CPU, which is slower. If possible, consider updating your model to use only operations supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 82
Number of operations that will run on CPU: 2

Operator                       Count      Status

CONV_2D                        35         Mapped to Edge TPU
DEPTHWISE_CONV_2D              17         Mapped to Edge TPU
ADD                            30         Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
SOFTMAX                        1          More than one subgraph is not supported
Compilation child process completed within timeout period.
Compilation succeeded!
"""  # noqa: E501
FLAKY = "Edge TPU Compiler version 14.1.317412892\n\nInternal compiler error. Aborting! \n"
SILENT = (
    "Edge TPU Compiler version 16.0.384591198\nStarted a compilation timeout timer of 180 seconds.\n"
    "Compilation child process completed within timeout period.\nCompilation failed! \n"
)
NEWER = (
    "Edge TPU Compiler version 16.0.384591198\n"
    "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. An older version of this builtin might be "
    "supported. Are you using an old TFLite binary with a newer model?\n\nERROR: Registration failed.\n\n"
    "Invalid model: model.tflite\nModel could not be parsed\n"
)


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Puts a compiler on the PATH that prints one text per call (the last again) and may write a file."""

    def install(*outputs: str, writes: tuple[bool, ...] = (True,), seconds: float = 0) -> None:
        for index, output in enumerate(outputs):
            (tmp_path / f"log{index}").write_text(output)
        last = len(outputs) - 1
        script = tmp_path / "edgetpu_compiler"
        script.write_text(
            "#!/bin/sh\n"
            f"cd {tmp_path}; n=$(cat calls 2>/dev/null || echo 0); echo $((n + 1)) > calls\n"
            f"[ $n -gt {last} ] && n={last}\n"
            f"sleep {seconds}\n"
            'cat "log$n"\n'
            f'[ -e "write$n" ] && printf compiled > "$3/model_edgetpu.tflite"\n'
            '[ -e "write$n" ]\n'
        )
        for index, write in enumerate(writes):
            if write:
                (tmp_path / f"write{index}").touch()
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    install.calls = lambda: int((tmp_path / "calls").read_text())
    return install


def test_a_log_is_read():
    log = parse_log(LOG)
    assert log.version == "16.0.384591198"
    assert log.cached_bytes == round(6.02 * 2**20)
    assert log.remaining_bytes == 7936
    assert log.streamed_bytes == 175 * 1024
    assert (log.subgraphs, log.mapped, log.cpu) == (1, 82, 2)
    assert log.statuses[3].status.endswith("unspecified limitation")
    assert log.to_json()["operators"][0] == {"op": "CONV_2D", "count": 35, "status": "Mapped to Edge TPU"}


@pytest.mark.parametrize("text", ["", "Operator Count Status", LOG[:300], FLAKY, "\x00\xff" * 50])
def test_a_log_that_lacks_things_is_read_too(text):
    log = parse_log(text)
    assert log.statuses == ()


def test_a_model_is_compiled(compiler):
    compiler(LOG)
    compiled = compile_for_edgetpu(b"model")
    assert compiled.model == b"compiled"
    assert compiled.log.mapped == 82


@pytest.mark.parametrize("failure", [FLAKY, SILENT, ""])
def test_a_known_flaky_failure_is_tried_once_more(compiler, failure):
    compiler(failure, LOG, writes=(False, True))
    assert compile_for_edgetpu(b"model").model == b"compiled"
    assert compiler.calls() == 2


def test_after_two_failures_it_gives_up_in_the_compilers_words(compiler):
    compiler(FLAKY, writes=(False,))
    with pytest.raises(WorkError, match=r"\(2 attempts\): Internal compiler error. Aborting!"):
        compile_for_edgetpu(b"model")
    assert compiler.calls() == 2


def test_a_failure_with_a_reason_is_not_tried_again(compiler):
    compiler(NEWER, writes=(False,))
    with pytest.raises(WorkError, match="'CONV_2D' version '6'"):
        compile_for_edgetpu(b"model")
    assert compiler.calls() == 1


def test_a_compiler_that_hangs_is_stopped(compiler):
    compiler(LOG, seconds=30)
    with pytest.raises(WorkError, match=r"did not end within 0\.3 s"):
        compile_for_edgetpu(b"model", timeout_seconds=0.3)


def test_without_a_compiler_it_says_how_to_install_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler() is None
    with pytest.raises(WorkError, match="edgetpu_compiler is not on the PATH: install it"):
        compile_for_edgetpu(b"model")
