"""The server's side of ``grpc://``: one study for many machines, and Optuna's own service for its tools.

The port has no authentication: whoever reaches it may read and write the study.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.space.decision import Decision
from edgenas.study.database import DatabaseStudy
from edgenas.study.errors import StudyExistsError
from edgenas.study.remote import ERRORS, METHOD, SERVICE, encode_trial, load_grpc, with_port
from edgenas.study.trial import Trial

#: Calls at once; each is short, and SQLite does one after the other anyway.
_THREADS = 16
_MEASURED = "measured:"
#: A study that nobody has begun yet has no facts; this one says that somebody has.
BEGUN = "edgenas:begun"


class StudyService:
    """Answers the calls of :class:`~edgenas.study.remote.RemoteStudy` with a study in a database, one by one."""

    def __init__(self, study: DatabaseStudy) -> None:
        self.study = study
        self._lock = threading.Lock()
        self._trials: list[Trial] = []
        self._methods: dict[str, Callable[..., Any]] = {
            "hello": lambda: True,
            "begun": lambda: bool(self.study.recall(BEGUN) or self.study.facts or self.study.trials),
            "begin": self._begin,
            "facts": lambda: self.study.facts,
            "measured": self._measured,
            "news": self._news,
            "beats": lambda: self.study.beats,
            "start": self._start,
            "adopt": self._adopt,
        }
        for name in (
            "remember", "recall", "trial", "claim", "take_back", "beat", "take_over", "release", "retry", "complete",
            "stop", "fail", "record_measured", "take_lease", "end_lease",
        ):  # fmt: skip
            self._methods[name] = getattr(study, name)

    def call(self, request: bytes) -> bytes:
        """One call; what it raises is an answer too."""
        try:
            asked = json.loads(request)
            method = self._methods[asked["method"]]
            with self._lock:
                value = method(*asked["arguments"], **asked["named"])
            return json.dumps({"value": encode_trial(value) if isinstance(value, Trial) else value}).encode()
        except EdgeNASError as error:
            kind = type(error).__name__
            return json.dumps({"error": kind if kind in ERRORS else "WorkError", "words": str(error)}).encode()
        except (ValueError, KeyError, TypeError) as error:
            words = f"the call cannot be understood ({type(error).__name__}: {error}); are both of one version?"
            return json.dumps({"error": "InputError", "words": words}).encode()

    def _begin(self, facts: dict[str, Any]) -> None:
        if self._methods["begun"]():
            raise StudyExistsError("the served study exists already; open it to continue")
        self.study.write_facts(facts)
        self.study.remember(BEGUN, True)

    def _measured(self) -> dict[int, Any]:
        return {trial.number: dict(trial.measured) for trial in self.study.trials if trial.measured}

    def _news(self, known: int, still_open: Sequence[int]) -> dict[str, Any]:
        """Trials from a number on, and those that a client knows as open, as they are now."""
        for trial in self.study.refresh():
            if trial.number == len(self._trials):
                self._trials.append(trial)
            else:
                self._trials[trial.number] = trial
        found = [self._trials[number] for number in still_open if 0 <= number < known] + self._trials[known:]
        return {"trials": [encode_trial(trial) for trial in found], "count": len(self._trials)}

    def _start(self, architecture: str, choices: list[int], decisions: list[Any], **content: Any) -> Trial:
        return self.study.start(architecture, choices, _decisions(decisions), **content)

    def _adopt(self, number: int, architecture: str, choices: list[int], decisions: list[Any], **content: Any) -> Trial:
        return self.study.adopt(number, architecture, choices, _decisions(decisions), **content)


def _decisions(found: list[Any]) -> list[Decision]:
    return [Decision(name, tuple(options)) for name, options in found]


def make_server(study: DatabaseStudy, host: str, port: int) -> tuple[Any, int]:
    """A gRPC server of a study, not started yet, and the port that it has; 0 takes a free one.

    Raises InputError when the host is no address of this machine, WorkError when the port is taken.
    """
    grpc = load_grpc()
    from optuna.storages._grpc import servicer
    from optuna.storages._grpc.auto_generated import api_pb2_grpc

    service = StudyService(study)
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: service.call(request))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    api_pb2_grpc.add_StorageServiceServicer_to_server(servicer.OptunaStorageProxyService(study.storage), server)
    family = family_of(host)
    try:
        bound = server.add_insecure_port(with_port(host, port))
    except RuntimeError:
        bound = 0
    if not bound:
        raise WorkError(
            f"{with_port(host, port)} cannot be listened on ({_reason(family, host, port)}); choose another with --port"
        )
    return server, int(bound)


def family_of(host: str) -> socket.AddressFamily:
    """What kind of address a host has, IPv4 where it has both. Raises InputError when it is none of this machine."""
    try:
        found = sorted(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        with socket.socket(found[0][0]) as probe:
            probe.bind((host, 0))
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or error
        raise InputError(f"--host: {host} is no address of this machine ({words})") from None
    return found[0][0]


def _reason(family: socket.AddressFamily, host: str, port: int) -> str:
    """Why a port cannot be listened on: gRPC does not tell."""
    try:
        with socket.socket(family) as probe:
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return "taken by another program?"
