"""Measures TFLite models on the machine it runs on: all that the machine needs of EdgeNAS, with the files beside it.

These are ``machine.py``, ``sampling.py``, ``engines.py`` for other engines, ``quiet_visit.py`` for visits (see below),
``operator_times.py`` for those to long models, and the package ``energy`` (or ``energy.zip``) where energy is to be
measured. Needs Python >= 3.7, NumPy and one LiteRT runtime (ai-edge-litert, tflite-runtime or TensorFlow). It reads one
JSON object per line on standard input: first the settings, then one ``{"id": TEXT, "path": FILE}`` per model. It
answers with one JSON object per line on standard output, flushed one by one, so that a crash loses nothing that was
measured:

    {"facts": {...}}                                             the machine and the runtime, once
    {"id": TEXT, "samples_ms": [...], "runs": N, "warmup_runs": N, "batch": N}
    {"id": TEXT, "error": WORDS}                                 and the next model goes on
    {"waiting": WORDS}                                           for a hot device to cool
    {"fatal": WORDS}                                             nothing can be measured here

Settings: ``threads``; ``affinity`` (list of CPU numbers, or null: the least busy ones); ``warmup_seconds``;
``min_runs``; ``max_runs``; ``max_seconds``; ``confidence`` (stop when the half-width of the 95 % confidence interval
of the median is below this share of it; null: always use up ``max_seconds``); ``keep`` (how many samples to report,
null: all; the smallest and evenly spaced quantiles are kept); ``seed`` of the random inputs; ``inputs`` (what inputs
are fed: a list of ``{"name", "dtype", "low", "high"}``, or ``{"name", "dtype", "shape", "data"}`` with the values in
base64; inputs that are not in it get real numbers from -1 to 1, all numbers where they are quantized, else 0 and 1).

With the setting ``anchor``, the path of a small model, each model gets a short *visit* instead. It is warmed up, for
``warmup_seconds`` or 40 runs (a few where it is small), and then runs in chunks of ``chunk_seconds``, with the anchor
timed before and after each, until ``quiet_chunks`` chunks were quiet or ``visit_seconds`` and the time of a few runs
are over. Quiet is what has both anchor times within ``tolerance`` of the anchor's fastest (``anchor_ms`` where known
from before): nobody else on the other hardware thread of the core, full clock. While the anchor is slow the runner
waits, for up to ``wait_seconds``, and tries the other CPUs. The answer holds the fastest run of each chunk and, as
``anchors_ms``, the anchor's time before and after.

A run of more than ``operators_above`` seconds outlasts most quiet moments. Where the runtime tells the time of each
operator (:mod:`edgenas.devices.on_device.operator_times`), such a model runs for ``operator_seconds`` instead, and the
answer holds each
run's operators as ``operators_us``, in whole microseconds, cut off. With 0, that is so for all models, where it can be.

With the setting ``delegate``, a shared library such as ``libedgetpu.so.1``, models run through that delegate, with
``delegate_options`` (text by text) handed to it. When it cannot be loaded nothing is measured: there is no fall-back to
the CPU.

The setting ``engine`` (see :mod:`edgenas.devices.on_device.engines`) names another way to run models: LiteRT's own
kernels without XNNPACK, or OpenVINO.

With the setting ``energy`` (see :data:`edgenas.devices.on_device.energy.DEFAULTS`), each model runs once more beside
the machine's energy
meter. The facts then name the meter as ``meter``, or say in ``meter_words`` why there is none, and answers hold
``energy`` (of one inference, :mod:`edgenas.devices.on_device.energy.session`) or ``energy_problem``.

Where the system tells clock and temperature, each answer holds them as they were right after the samples. A model that
was measured while the clock was held down (heat, low voltage) is measured again once that is over, three times at
most. After ``cooldown_seconds`` of waiting without success nobody waits any more; answers say why as ``throttled``.

By hand: ``python runner.py MODEL.tflite ...``
"""

from __future__ import annotations

import base64
import functools
import gc
import importlib
import io
import json
import os
import platform
import sys
import time
from typing import Any, Callable, TextIO  # noqa: UP035  (Python 3.7)

import numpy as np

PROTOCOL = 1
DEFAULTS: dict[str, Any] = {
    "threads": 1,
    "affinity": None,
    "warmup_seconds": 0.1,
    "min_runs": 30,
    "max_runs": 5000,
    "max_seconds": 5.0,
    "confidence": 0.02,
    "keep": None,
    "seed": 0,
    "inputs": None,
    "anchor": None,
    "anchor_ms": None,
    "tolerance": 1.2,
    "quiet_chunks": 3,
    "chunk_seconds": 0.0001,
    "visit_seconds": 0.004,
    "wait_seconds": 0.0,
    "operators_above": None,
    "operator_seconds": 0.2,
    "cooldown_seconds": 120.0,
    "engine": "litert",
    "delegate": None,
    "delegate_options": {},
    "energy": None,
    # So that reading the clock (about 0.1 microseconds) does not show in a sample.
    "shortest_sample_seconds": 20e-6,
}
RUNTIMES = (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime"), ("tensorflow", "tensorflow"))


def sibling(name: str) -> Any:
    """A module beside this file, which is part of a package or stands alone."""
    return importlib.import_module(f"{__package__}.{name}" if __package__ else name)


machine = sibling("machine")
sampling = sibling("sampling")


class NoRuntimeError(RuntimeError):
    """No LiteRT runtime can be imported; the message says what was tried and what to install."""


def find_runtime() -> tuple[Any, str, str]:
    """Returns (interpreter class, distribution name, version) of the first runtime that imports."""
    tried: list[str] = []
    for package, distribution in RUNTIMES:
        try:
            if package == "tensorflow":
                module = importlib.import_module("tensorflow")
                interpreter = module.lite.Interpreter
            else:
                module = importlib.import_module(package)
                interpreter = importlib.import_module(package + ".interpreter").Interpreter
        except Exception as error:
            # A broken installation must not hide a working one.
            tried.append(f"{package} ({error})")
            continue
        return interpreter, distribution, str(getattr(module, "__version__", "unknown"))
    raise NoRuntimeError(
        f"no LiteRT runtime for {sys.executable}: pip install ai-edge-litert; tried {', '.join(tried)}"
    )


def find_engine(name: str) -> tuple[Any, str, str]:
    """(maker of interpreters, name, version) of an engine. Raises RuntimeError with what to install."""
    if name == DEFAULTS["engine"]:
        return find_runtime()
    engines = sibling("engines")
    found: tuple[Any, str, str] = engines.engine_of(name, None if name == engines.OPENVINO else find_runtime())
    return found


def with_delegate(make_interpreter: Any, library: str, options: dict[str, str]) -> Any:
    """A maker of interpreters that run through a delegate. Raises RuntimeError when the library cannot be loaded."""
    load_delegate = getattr(sys.modules[make_interpreter.__module__], "load_delegate", None)
    if load_delegate is None:
        raise RuntimeError(f"this runtime ({make_interpreter.__module__}) cannot load delegates")
    try:
        delegate = load_delegate(library, options)
    except Exception as error:
        # The runtime raises ValueError without words when the library itself printed them.
        raise RuntimeError(f"cannot load the delegate {library}: {type(error).__name__}: {error}") from None

    def make(**arguments: Any) -> Any:
        return make_interpreter(experimental_delegates=[delegate], **arguments)

    return make


def _busy_ticks() -> dict[int, int]:
    """Ticks not spent idle, by CPU number."""
    ticks = {}
    for line in (machine.read_text("/proc/stat") or "").splitlines():
        fields = line.split()
        if fields and fields[0].startswith("cpu") and fields[0][3:].isdigit():
            values = [int(value) for value in fields[1:9]]
            ticks[int(fields[0][3:])] = sum(values) - values[3] - values[4]
    return ticks


def pin(affinity: list[int] | None, threads: int) -> list[int] | None:
    """Pins the process to the given CPUs, or to the ``threads`` least busy allowed ones; returns them or None."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    if affinity is None:
        before = _busy_ticks()
        time.sleep(0.03)
        after = _busy_ticks()
        busy = {cpu: after.get(cpu, 0) - before.get(cpu, 0) for cpu in allowed}
        affinity = sorted(allowed, key=lambda cpu: (busy[cpu], -cpu))[:threads]
    try:
        os.sched_setaffinity(0, affinity)
    except (OSError, ValueError):
        return None
    return sorted(os.sched_getaffinity(0))


def random_inputs(interpreter: Any, seed: int, given: list[dict[str, Any]] | None = None) -> list[Any]:
    """Values for each input: ``given`` ones, else random ones, as data that is all zero may run faster than real data.

    Whole numbers without a scale are indices or flags: only 0 and 1 are safe for every model.
    """
    rng = np.random.RandomState(seed)
    inputs = []
    for detail in interpreter.get_input_details():
        shape, dtype = tuple(detail["shape"]), np.dtype(detail["dtype"])
        told: dict[str, Any] = {}
        for entry in given or ():
            if entry["name"] == detail["name"] and entry["dtype"] == dtype.name:
                told = entry
        if "data" in told:
            values = np.frombuffer(base64.b64decode(told["data"]), dtype).reshape(told["shape"])
            if values.shape != shape:
                raise ValueError(
                    f"input {detail['name']} takes the shape {shape}, the given values have {values.shape}"
                )
        elif np.issubdtype(dtype, np.integer) or dtype == np.bool_:
            low, high = (int(told["low"]), int(told["high"])) if told else default_range(detail, dtype)
            # The largest number of 64 bits has no successor.
            values = rng.randint(low, min(high, 2**63 - 2) + 1, size=shape, dtype=np.int64).astype(dtype)
        else:
            values = rng.uniform(told.get("low", -1.0), told.get("high", 1.0), size=shape).astype(dtype)
        inputs.append(values)
    return inputs


def default_range(detail: dict[str, Any], dtype: Any) -> tuple[int, int]:
    """The whole numbers that an input gets when nobody says otherwise."""
    if dtype == np.bool_ or not detail["quantization"][0]:
        return 0, 1
    info = np.iinfo(dtype)
    return max(info.min, -128), min(info.max, 255)


def load(make_interpreter: Any, path: str, settings: dict[str, Any]) -> Any:
    """An interpreter that is ready to run."""
    interpreter = make_interpreter(model_path=path, num_threads=settings["threads"])
    interpreter.allocate_tensors()
    values_of_inputs = random_inputs(interpreter, settings["seed"], settings["inputs"])
    for detail, values in zip(interpreter.get_input_details(), values_of_inputs):  # noqa: B905  (Python 3.7)
        interpreter.set_tensor(detail["index"], values)
    return interpreter


def digits(value: float) -> float:
    """Five digits are finer than the clock."""
    return float(f"{value:.5g}")


class EnergyMeter:
    """The meter that the settings ask for, if there is one."""

    def __init__(self, settings: dict[str, Any], allowed: list[int], say: Callable[[dict[str, Any]], None]) -> None:
        self.session: Any = None
        self.facts: dict[str, Any] = {}
        if settings["energy"] is None:
            return
        archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), "energy.zip")
        if os.path.exists(archive):
            sys.path.insert(0, archive)
        package = sibling("energy")
        self.error: type[Exception] = package.MeterError
        meter, words = package.find_meter(settings["energy"])
        self.facts = {"meter": None if meter is None else meter.name, "meter_words": words}
        if meter is not None:
            seconds = settings["energy"].get("seconds", package.DEFAULTS["seconds"])
            self.session = package.EnergySession(
                meter, least_seconds=seconds, cpus=allowed, say=lambda words: say({"waiting": words})
            )

    def measure(self, interpreter: Any, batch: int) -> dict[str, Any]:
        """The part of an answer about energy."""
        if self.session is None:
            return {}
        try:
            return {"energy": self.session.measure(interpreter.invoke, batch)}
        except self.error as error:
            return {"energy_problem": str(error)}

    def close(self) -> None:
        """Ends what the meter started."""
        if self.session is not None:
            self.session.meter.close()


def run_job(
    make_interpreter: Any,
    job: dict[str, str],
    settings: dict[str, Any],
    visitor: Any = None,
    meter: EnergyMeter | None = None,
) -> dict[str, Any]:
    """Loads and measures one model; whatever goes wrong is an answer, not an end."""
    try:
        if visitor is not None:
            seen = visitor.visit(job["path"])
            seen["samples_ms"] = [digits(sample) for sample in seen["samples_ms"]]
            seen["anchors_ms"] = [[digits(first), digits(second)] for first, second in seen["anchors_ms"]]
            return dict(seen, id=job["id"])
        interpreter = load(make_interpreter, job["path"], settings)
        samples, warmup_runs, batch = sampling.measure(interpreter, settings)
        energy = meter.measure(interpreter, batch) if meter else {}
    except Exception as error:
        return {"id": job["id"], "error": f"{type(error).__name__}: {error}"}
    kept = [digits(sample) for sample in sampling.thin(samples, settings["keep"])]
    answer = {"id": job["id"], "samples_ms": kept, "runs": len(samples), "warmup_runs": warmup_runs, "batch": batch}
    return dict(answer, **energy)


def operator_times(distribution: str, settings: dict[str, Any]) -> Any:
    """The clock of operators (:class:`edgenas.devices.on_device.operator_times.OperatorTimes`), or None where the
    runtime has none.
    """
    if settings["delegate"] or settings["engine"] != DEFAULTS["engine"] or distribution != RUNTIMES[0][1]:
        return None
    module = sibling("operator_times")
    return module.OperatorTimes() if module.are_told(settings["anchor"], settings["threads"]) else None


def make_visitor(make_interpreter: Any, distribution: str, settings: dict[str, Any], allowed: list[int]) -> Any:
    """The :class:`edgenas.devices.on_device.quiet_visit.Visitor` that the settings ask for."""
    module = sibling("quiet_visit")

    def inputs_of(path: str) -> list[bytes]:
        interpreter = make_interpreter(model_path=path)
        return [values.tobytes() for values in random_inputs(interpreter, settings["seed"], settings["inputs"])]

    return module.Visitor(
        module.Anchor(load(make_interpreter, settings["anchor"], settings), settings, allowed),
        settings,
        load=lambda path: load(make_interpreter, path, settings),
        random_inputs=inputs_of,
        # Looked for once, and only where a model is slow: that takes longer than a visit to a fast one.
        find_times=functools.lru_cache(maxsize=None)(lambda: operator_times(distribution, settings)),
    )


def gather_facts(
    distribution: str, version: str, settings: dict[str, Any], affinity: list[int] | None
) -> dict[str, Any]:
    """What a reader must know of the machine to trust or repeat a measurement."""
    first = affinity[0] if affinity else 0
    return {
        "protocol": PROTOCOL,
        "runtime": distribution,
        "runtime_version": version,
        "threads": settings["threads"],
        "affinity": affinity,
        "cpu_model": machine.cpu_model(),
        "governor": machine.read_text(f"/sys/devices/system/cpu/cpu{first}/cpufreq/scaling_governor"),
        "frequency_mhz": machine.frequency_mhz(first),
        "temperature_c": machine.hottest_c(machine.thermal_files("thermal_zone", "temp")),
        "pid": os.getpid(),
        "system": platform.platform(),
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def serve(jobs_file: TextIO, answer: Callable[[dict[str, Any]], None]) -> int:
    """Reads settings and jobs, answers each. Returns the exit code."""
    settings = dict(DEFAULTS, **json.loads(jobs_file.readline()))
    try:
        make_interpreter, distribution, version = find_engine(settings["engine"])
    except RuntimeError as error:
        answer({"fatal": str(error)})
        return 3
    if settings["delegate"]:
        try:
            make_interpreter = with_delegate(make_interpreter, settings["delegate"], settings["delegate_options"])
        except RuntimeError as error:
            answer({"fatal": str(error)})
            return 3
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    affinity = pin(settings["affinity"], settings["threads"])
    visitor = None
    if settings["anchor"]:
        try:
            visitor = make_visitor(make_interpreter, distribution, settings, allowed)
        except Exception as error:
            answer({"fatal": f"the anchor model cannot run: {type(error).__name__}: {error}"})
            return 3
    try:
        meter = EnergyMeter(settings, allowed, answer)
    except ImportError as error:
        answer({"fatal": f"the package 'energy' is not beside the runner: {error}"})
        return 3
    answer({"facts": dict(gather_facts(distribution, version, settings, affinity), **meter.facts)})
    watch = machine.Watch(affinity[0] if affinity else 0, settings["cooldown_seconds"])
    gc.disable()
    for line in jobs_file:
        if line.strip():
            job = json.loads(line)
            run = functools.partial(run_job, make_interpreter, job, settings, visitor, meter)
            answer(machine.unthrottled(run, watch, answer))
            gc.collect(0)
    meter.close()
    return 0


def main(arguments: list[str]) -> int:
    """Serves jobs on standard input, or measures the models named on the command line."""
    # Native libraries print to file descriptor 1: send that to standard error, and keep the real one for answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    if not arguments:
        return serve(sys.stdin, answer)
    lines = [json.dumps({})] + [json.dumps({"id": path, "path": path}) for path in arguments]

    return serve(io.StringIO("\n".join(lines)), answer)


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except BrokenPipeError:
        code = 1  # nobody listens any more: the program that asked is gone
    # Some runtimes crash while the interpreter is torn down, after all is answered.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
