"""Inside a worker process: candidates in, outcomes out, and the end with the parent, whatever the evaluator does."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection, wait

from edgenas.streams import keep_streams_open
from edgenas.study.candidates import Evaluator, EvaluatorFactory, failure, outcome_of

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
#: Signals besides Ctrl-C that end a run. They are blocked while a worker starts.
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def serve(packed: bytes, pipe: Connection) -> None:
    """Evaluates candidates until the pipe closes. ``packed``: the factory, pickled.

    A text as answer says that the evaluator cannot be made.
    """
    _settle()
    evaluate: Evaluator | None = None
    while True:
        try:
            candidate = pipe.recv()
        except (EOFError, OSError):
            return
        start = time.monotonic()
        if evaluate is None:
            try:
                factory: EvaluatorFactory = pickle.loads(packed)  # from our own parent, never from a file
                evaluate = factory()
            except BaseException as error:
                pipe.send(failure(candidate.number, error).reason)
                return
        try:
            outcome = outcome_of(evaluate, candidate)
        except KeyboardInterrupt as error:  # of the evaluator's own making: Ctrl-C is not heard here
            outcome = failure(candidate.number, error)
        pipe.send(replace(outcome, seconds=time.monotonic() - start))


def _settle() -> None:
    """A group of its own, no ear for Ctrl-C, standard output free of what an evaluator prints, an end in sight."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends us
    with contextlib.suppress(OSError):
        os.setsid()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        os.dup2(2, 1)  # standard output is for the data that the command was asked for
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
    keep_streams_open()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform == "linux":
        # The thread above cannot run while an extension module loops and holds the interpreter.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        with contextlib.suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)  # with what the evaluator started
        os._exit(1)
