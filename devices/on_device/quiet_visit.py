"""Short visits to models between looks at a small reference model, the *anchor*, which tells whether it is quiet.

Goes to boards beside :mod:`edgenas.devices.on_device.runner`, which says what visits are and how they are set. Python
>= 3.7.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any, Callable  # noqa: UP035  (Python 3.7)

# Of a visit that times operators.
_FEWEST_RUNS, _MOST_RUNS = 3, 40
# A cache that several cores share learns over 10 to 40 runs what is used again and again: a model of 9 MB took 1.8 ms
# at first and 1.1 ms then. Smaller files fit into a core's own cache.
_WARM_RUNS = 40
_SMALL_FILE = 2**20
# A model that takes longer, in ns, pushes its own beginning out of the caches before it ends.
_FILLS_CACHES = 10e6
# After a disturbed run, for a quieter CPU.
_LOOK_AROUND_SECONDS = 0.003


class Anchor:
    """The reference model: an interpreter that is ready to run, its fastest time ever, and ways to a quiet moment."""

    def __init__(self, interpreter: Any, settings: dict[str, Any], allowed: list[int]) -> None:
        self.interpreter = interpreter
        self.allowed = allowed
        self.hops = settings["affinity"] is None and len(allowed) > settings["threads"]
        self.tolerance = settings["tolerance"]
        self.patience = 1.0
        known = settings["anchor_ms"]
        self.fastest = float("inf") if known is None else known * 1e6
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            self.time()

    def time(self, after: float = 0.0) -> float:
        """Fastest of a few runs in ns; remembers the fastest ever.

        What ran before, for ``after`` ns, has pushed the anchor out of the caches: the first runs bring it back.
        """
        invoke, clock = self.interpreter.invoke, time.perf_counter_ns
        taken = math.inf
        start = clock()
        for _ in range(2 if after < 1e5 else 4 if after < 1e6 else 8):
            invoke()
            end = clock()
            taken = min(taken, end - start)
            start = end
        self.fastest = min(self.fastest, taken)
        return taken

    def is_quiet(self, taken: float) -> bool:
        """Whether a time of the anchor says that nobody disturbs."""
        return taken < self.tolerance * self.fastest

    def wait_for_quiet(self, deadline: float) -> float:
        """Probes, here and on the other CPUs, until it is quiet or ``deadline`` (ns) has passed; the last time."""
        taken = self.time()
        tries = 0
        while not self.is_quiet(taken) and time.perf_counter_ns() < deadline:
            tries += 1
            if self.hops and tries % 4 == 0:
                self.hop()
            taken = self.time()
        return taken

    def wait_patiently(self, seconds: float) -> float:
        """Waits for quiet for up to ``seconds``, or a share of it after waiting in vain; the anchor's last time.

        Quiet moments may be as short as tenths of a millisecond, so a visit begins in one wherever it can.
        """
        home = os.sched_getaffinity(0) if self.hops else None
        taken = self.wait_for_quiet(time.perf_counter_ns() + self.patience * seconds * 1e9)
        if self.is_quiet(taken):
            self.patience = min(1.0, 2 * self.patience)
            return taken
        self.patience = max(0.05, self.patience / 2)
        if home:
            os.sched_setaffinity(0, home)  # where it was quiet last, not where something else runs all the time
        return self.time()

    def hop(self) -> None:
        """Moves to the next CPUs."""
        here = sorted(os.sched_getaffinity(0))
        place = self.allowed.index(here[0]) + len(here)
        os.sched_setaffinity(0, [self.allowed[(place + i) % len(self.allowed)] for i in range(len(here))])


class Visitor:
    """Visits models, as ``settings`` say.

    ``load`` makes an interpreter that is ready to run, ``random_inputs`` the bytes for each input of a model that need
    not be loaded, and ``find_times`` the clock of operators
    (:class:`edgenas.devices.on_device.operator_times.OperatorTimes`) or None.
    """

    def __init__(
        self,
        anchor: Anchor,
        settings: dict[str, Any],
        load: Callable[[str], Any],
        random_inputs: Callable[[str], list[bytes]],
        find_times: Callable[[], Any],
    ) -> None:
        self.anchor = anchor
        self.settings = settings
        self.load = load
        self.random_inputs = random_inputs
        self.find_times = find_times

    def visit(self, path: str) -> dict[str, Any]:
        """A visit to the model of a file: to its operators where it is slow, to whole runs where it is not."""
        limit = self.settings["operators_above"]
        if limit == 0:
            by_operator = self._try_operators(path)
            if by_operator is not None:
                return by_operator
        interpreter = self.load(path)
        invoke, clock = interpreter.invoke, time.perf_counter_ns
        invoke()
        before = clock()
        invoke()
        taken: float = clock() - before
        warmup_runs = 2
        if taken < 200e3:
            before = clock()
            invoke()
            taken = min(taken, clock() - before)
            warmup_runs = 3
        if limit and taken > limit * 1e9:
            by_operator = self._try_operators(path)
            if by_operator is not None:
                return by_operator
        if os.path.getsize(path) > _SMALL_FILE:
            more, taken = self._warm_up(invoke)
            warmup_runs += more
        return dict(self._chunks(interpreter, taken), warmup_runs=warmup_runs)

    def _warm_up(self, run: Callable[[], object]) -> tuple[int, float]:
        """Runs until the caches know the model, or it has taken long enough; how often, and the fastest run in ns."""
        clock, runs, taken = time.perf_counter_ns, 0, math.inf
        start = end = clock()
        while not runs or (runs < _WARM_RUNS and end - start < self.settings["warmup_seconds"] * 1e9):
            before = end
            run()
            end = clock()
            taken = min(taken, end - before)
            runs += 1
        return runs, taken

    def _chunks(self, interpreter: Any, taken: float) -> dict[str, Any]:
        """Chunks of whole runs, of about ``taken`` ns each, between looks at the anchor."""
        settings, anchor = self.settings, self.anchor
        invoke, clock = interpreter.invoke, time.perf_counter_ns
        batch = max(1, math.ceil(settings["shortest_sample_seconds"] * 1e9 / max(taken, 1)))
        samples: list[float] = []
        anchors: list[tuple[float, float]] = []
        runs = quiet = 0
        # A slow model gets the time for its chunks, but fewer of them: other visits tell more than more of this one.
        quiet_chunks = settings["quiet_chunks"] if taken < 1e6 else min(2, settings["quiet_chunks"])
        anchor_before = anchor.wait_patiently(settings["wait_seconds"])
        deadline = clock() + settings["visit_seconds"] * 1e9 + 2 * quiet_chunks * taken
        while quiet < quiet_chunks and (clock() < deadline or not samples):
            if taken < 1e6:
                invoke()
            fastest = float("inf")
            end = clock() + settings["chunk_seconds"] * 1e9
            while True:
                before = clock()
                for _ in range(batch):
                    invoke()
                after = clock()
                fastest = min(fastest, after - before)
                runs += batch
                if after > end:
                    break
            anchor_after = anchor.time(fastest)
            samples.append(fastest / batch / 1e6)
            anchors.append((anchor_before / 1e6, anchor_after / 1e6))
            quiet += anchor.is_quiet(max(anchor_before, anchor_after))
            anchor_before = anchor_after if anchor.is_quiet(anchor_after) else anchor.wait_for_quiet(deadline)
        return {"samples_ms": samples, "anchors_ms": anchors, "runs": runs, "batch": batch}

    def _try_operators(self, path: str) -> dict[str, Any] | None:
        """A visit to operators, or None where the runtime does not tell them: whole runs are looked at then."""
        times = self.find_times()
        if times is None:
            return None
        try:
            return self._operators(times, path)
        except times.error:
            return None

    def _operators(self, times: Any, path: str) -> dict[str, Any]:
        """A longer look at a model, operator by operator, between looks at the anchor."""
        settings, anchor = self.settings, self.anchor
        rows: list[list[int]] = []
        anchors: list[tuple[float, float]] = []
        with times.load(path, settings["threads"]) as model:
            model.fill(self.random_inputs(path))
            warmup_runs, taken = self._warm_up(model.run)
            runs = min(_MOST_RUNS, max(_FEWEST_RUNS, math.ceil(settings["operator_seconds"] * 1e9 / max(taken, 1))))
            # The wait is worth less where only a small part of a visit can be quiet.
            before = anchor.wait_patiently(min(settings["wait_seconds"], taken / 1e9))
            for _ in range(runs):
                rows.append(model.run())
                after = anchor.time(taken)
                anchors.append((before / 1e6, after / 1e6))
                before = after
                if not anchor.is_quiet(after) and anchor.hops:
                    here = os.sched_getaffinity(0)
                    before = anchor.wait_for_quiet(time.perf_counter_ns() + 1e9 * _LOOK_AROUND_SECONDS)
                    if taken < _FILLS_CACHES and os.sched_getaffinity(0) != here:
                        model.run()  # fills the caches of the other CPU
            model.check()
        if len(set(map(len, rows))) > 1:
            raise times.error("runs differ in their operators")
        return {
            "samples_ms": [(sum(row) + 0.5 * len(row)) / 1e3 for row in rows],
            "anchors_ms": anchors,
            "operators_us": rows,
            "runs": runs,
            "warmup_runs": warmup_runs,
            "batch": 1,
        }
