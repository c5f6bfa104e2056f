"""How long each operator of a model takes inside whole runs, as the runtime's own profiler tells it.

Goes to boards beside :mod:`edgenas.devices.on_device.runner`. LiteRT's C library, ``libLiteRt.so`` of the package
ai-edge-litert, is
called through :mod:`ctypes`: its compiled models have a profiler, and XNNPACK reports the time of each operator to it.
Times are whole microseconds, cut off. Where the library lacks, or an operator escapes the profiler, there is
:class:`NoOperatorTimesError`, and the caller times whole runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import time
from ctypes import Structure, byref, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from typing import Any

# Bits of an event's type: an operator of the runtime itself, one inside a delegate, one that a delegate reports.
_OPERATOR, _IN_DELEGATE, _OF_DELEGATE = 2, 4, 8
_CPU = 1
_WRITE = 1
# Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# What notes the times takes time itself: so many microseconds per run and per operator may be missing at most.
_LOST_PER_RUN, _LOST_PER_OPERATOR = 50.0, 3.0
_MOST_LOST_SHARE = 0.1
_TRIAL_SECONDS = 20.0


class NoOperatorTimesError(RuntimeError):
    """This runtime does not tell how long operators take."""


class _MemoryUsage(Structure):
    _fields_ = [("total", c_size_t), ("in_use", c_size_t), ("private", c_size_t)]


class _Event(Structure):
    _fields_ = [
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory_before", _MemoryUsage),
        ("memory_after", _MemoryUsage),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    ]


_KEEP = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)  # texts handed over are Python's to free


def _keep_freed_memory() -> None:
    """Lets the C library reuse large pieces of memory.

    The profiler of each model takes 80 MB for its events; to get and clear them anew takes longer than to measure.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # not every C library has this, or is found so
        set_option = ctypes.CDLL(None).mallopt
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            set_option(option, 1 << 30)


def are_told(path: str, threads: int) -> bool:
    """Whether the runtime tells the times of a model's operators, tried in a process of its own.

    The library's interface is young: one of another version may end the process that calls it.
    """
    if not hasattr(os, "fork"):
        return False
    child = os.fork()
    if not child:
        code = 1
        try:
            with OperatorTimes().load(path, threads) as model:
                model.run()
            code = 0
        except NoOperatorTimesError:
            pass
        finally:
            os._exit(code)
    deadline = time.monotonic() + _TRIAL_SECONDS
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


class OperatorTimes:
    """Makes timed models. Raises NoOperatorTimesError without a LiteRT that has a profiler. One for a process."""

    error = NoOperatorTimesError

    def __init__(self) -> None:
        try:
            package = importlib.import_module("ai_edge_litert")
            self._library = ctypes.CDLL(os.path.join(os.path.dirname(str(package.__file__)), "libLiteRt.so"))
        except (ImportError, OSError) as error:
            raise NoOperatorTimesError(f"no C library of LiteRT: {error}") from None
        _keep_freed_memory()
        self._environment = c_void_p()
        self.call("LiteRtCreateEnvironment", 0, None, byref(self._environment))

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function of the library. Raises NoOperatorTimesError unless it says that all is well."""
        function = getattr(self._library, name, None)
        if function is None:
            raise NoOperatorTimesError(f"this LiteRT has no {name}")
        status = function(*arguments)
        if status:
            raise NoOperatorTimesError(f"{name} answered {status}")

    def free(self, kind: str, handle: c_void_p) -> None:
        """Gives an object of the library back."""
        if handle:
            function = getattr(self._library, f"LiteRtDestroy{kind}")
            function.restype = None
            function(handle)

    def load(self, path: str, threads: int) -> TimedModel:
        """A model that is ready to run. Raises NoOperatorTimesError."""
        return TimedModel(self, self._environment, path, threads)


class TimedModel:
    """A compiled model with its profiler; a context manager that frees it."""

    def __init__(self, library: OperatorTimes, environment: c_void_p, path: str, threads: int) -> None:
        self._library, self._environment = library, environment
        self._texts: list[Any] = []
        self._model, self._options, self._compiled = c_void_p(), c_void_p(), c_void_p()
        self._buffers: list[Any] = []
        self._profiler = c_void_p()
        self._least_lost_share = 1.0
        try:
            self._load(path, threads)
        except NoOperatorTimesError:
            self.close()
            raise

    def _load(self, path: str, threads: int) -> None:
        call = self._library.call
        call("LiteRtCreateModelFromFile", self._environment, os.fsencode(path), byref(self._model))
        call("LiteRtCreateOptions", byref(self._options))
        call("LiteRtSetOptionsHardwareAccelerators", self._options, _CPU)
        self._option(b"xnnpack", f"num_threads = {threads}\n")
        self._option(b"runtime_options_string", "enable_profiling = true\n")
        call("LiteRtCreateCompiledModel", self._environment, self._model, self._options, byref(self._compiled))
        call("LiteRtCompiledModelGetProfiler", self._compiled, byref(self._profiler))
        if not self._profiler:
            raise NoOperatorTimesError("the compiled model has no profiler")
        signature = c_void_p()
        call("LiteRtGetModelSignature", self._model, c_size_t(0), byref(signature))
        self._buffers = [self._tensors(signature, kind) for kind in ("Input", "Output")]

    def _option(self, name: bytes, text: str) -> None:
        self._texts.append(ctypes.create_string_buffer(text.encode()))
        option = c_void_p()
        self._library.call("LiteRtCreateOpaqueOptions", name, self._texts[-1], _KEEP, byref(option))
        self._library.call("LiteRtAddOpaqueOptions", self._options, option)

    def _tensors(self, signature: c_void_p, kind: str) -> Any:
        """Buffers for all inputs or outputs."""
        call = self._library.call
        count = c_size_t()
        call(f"LiteRtGetNumSignature{kind}s", signature, byref(count))
        buffers = (c_void_p * count.value)()
        for index in range(count.value):
            tensor, requirements, buffer = c_void_p(), c_void_p(), c_void_p()
            tensor_type = ctypes.create_string_buffer(256)  # handed on as it is
            place = c_size_t(index)
            call(f"LiteRtGetSignature{kind}TensorByIndex", signature, place, byref(tensor))
            call("LiteRtGetRankedTensorType", tensor, tensor_type)
            call(f"LiteRtGetCompiledModel{kind}BufferRequirements", *self._of(place), byref(requirements))
            call(
                "LiteRtCreateManagedTensorBufferFromRequirements",
                self._environment,
                tensor_type,
                requirements,
                byref(buffer),
            )
            buffers[index] = buffer
        return buffers

    def _of(self, index: c_size_t) -> tuple[c_void_p, c_size_t, c_size_t]:
        return self._compiled, c_size_t(0), index

    def fill(self, contents: list[bytes]) -> None:
        """Sets the inputs. Raises NoOperatorTimesError unless there is content of the right size for each."""
        if len(contents) != len(self._buffers[0]):
            raise NoOperatorTimesError(f"the model takes {len(self._buffers[0])} inputs")
        for buffer, content in zip(map(c_void_p, self._buffers[0]), contents):  # noqa: B905  (Python 3.7)
            size, address = c_size_t(), c_void_p()
            self._library.call("LiteRtGetTensorBufferPackedSize", buffer, byref(size))
            if size.value != len(content):
                raise NoOperatorTimesError(f"an input takes {size.value} bytes")
            self._library.call("LiteRtLockTensorBuffer", buffer, byref(address), c_int(_WRITE))
            ctypes.memmove(address, content, len(content))
            self._library.call("LiteRtUnlockTensorBuffer", buffer)

    def run(self) -> list[int]:
        """Runs once; the operators' times in whole microseconds, cut off, in the order of running."""
        call = self._library.call
        inputs, outputs = self._buffers
        call("LiteRtResetProfiler", self._profiler)
        call("LiteRtStartProfiler", self._profiler)
        call("LiteRtRunCompiledModel", *self._of(c_size_t(len(inputs))), inputs, c_size_t(len(outputs)), outputs)
        call("LiteRtStopProfiler", self._profiler)
        count = c_int()
        call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        events = (_Event * count.value)()
        call("LiteRtGetProfilerEvents", self._profiler, count, events)
        times = [event.elapsed_us for event in events if event.kind in (_OPERATOR, _IN_DELEGATE, _OF_DELEGATE)]
        whole = max((event.elapsed_us for event in events if event.tag == b"Invoke" and event.kind == 1), default=0)
        if not times:
            raise NoOperatorTimesError("the profiler tells no operators")
        lost = whole - sum(times) - _LOST_PER_RUN - _LOST_PER_OPERATOR * len(times)
        self._least_lost_share = min(self._least_lost_share, lost / max(whole, 1))
        return times

    def check(self) -> None:
        """Raises NoOperatorTimesError when operators did not account for any run so far."""
        if self._least_lost_share > _MOST_LOST_SHARE:
            raise NoOperatorTimesError(f"{self._least_lost_share:.0%} of the time passed outside of operators")

    def close(self) -> None:
        """Frees what the library holds."""
        for buffers in self._buffers:
            for buffer in buffers:
                self._library.free("TensorBuffer", c_void_p(buffer))
        self._buffers = []
        for kind, handle in (("CompiledModel", self._compiled), ("Options", self._options), ("Model", self._model)):
            self._library.free(kind, handle)
            handle.value = None

    def __enter__(self) -> TimedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
