"""A study behind ``grpc://HOST:PORT``, the address of ``edgenas serve``: every call is one call of the server's study.

Beside Optuna's storage service, which scripts and dashboards use, the server offers one of our own: claiming, taking
over and ending a trial must each be whole, for which Optuna's has no call, and one call a trial is quicker than one an
attribute.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.space.decision import Decision
from edgenas.study.errors import LostTrialError, NoStudyError, NumberTakenError, StudyExistsError, UnreachableError
from edgenas.study.known import KnownTrials
from edgenas.study.patience import Wait, call_again, say_on_stderr
from edgenas.study.trial import Trial

#: Our service's one method: JSON ``{"method", "arguments"}`` to ``{"value"}`` or ``{"error", "words"}``.
SERVICE, METHOD = "edgenas.Study", "Call"
DEFAULT_PORT = 13000
ERRORS: dict[str, type[EdgeNASError]] = {
    kind.__name__: kind for kind in (InputError, WorkError, NumberTakenError, LostTrialError, StudyExistsError)
}
_CALL_SECONDS = 120.0


def encode_trial(trial: Trial) -> dict[str, Any]:
    """A trial as JSON has it."""
    return {name: value for name, value in dataclasses.asdict(trial).items() if value not in (None, "", (), {})}


def decode_trial(found: Mapping[str, Any]) -> Trial:
    """What :func:`encode_trial` made. Keys of later versions are left out."""
    known = {field.name for field in dataclasses.fields(Trial)}
    values = {"architecture": "", "choices": (), "predicted": {}} | {k: v for k, v in found.items() if k in known}
    values |= {name: tuple(values[name]) for name in ("choices", "curve") if name in values}
    return Trial(**values)


class RemoteStudy(KnownTrials):
    """The client of a study server. A server that is gone for a while is waited for.

    What is asked twice, because an answer was lost, is done once: the server's study sees to that.
    """

    def __init__(self, url: str, say: Callable[[str], None] = say_on_stderr) -> None:
        super().__init__()
        self.url = url
        self._say = say
        self._address = address_of(url)
        self._count = 0
        self._connect()
        self._call("hello", first=True)

    def _connect(self) -> None:
        grpc = load_grpc()
        self._channel = grpc.insecure_channel(
            self._address,
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 2000),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._stub = self._channel.unary_unary(f"/{SERVICE}/{METHOD}")

    @classmethod
    def create(cls, url: str, facts: Mapping[str, Any] | None = None) -> RemoteStudy:
        """The server's study, which must be empty, with these facts. Raises InputError otherwise."""
        study = cls(url)
        study._call("begin", dict(facts or {}))
        return study

    @classmethod
    def open(cls, url: str, say: Callable[[str], None] = say_on_stderr) -> RemoteStudy:
        """The server's study. Raises InputError when nobody serves one there, or nobody has begun it."""
        study = cls(url, say)
        if not study._call("begun"):
            study.close()
            raise NoStudyError(f"{url}: holds no study yet")
        return study

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def back_up(self) -> None:
        """The server does that."""

    def turn(self) -> contextlib.AbstractContextManager[Any]:
        """Suggestions are not kept apart here."""
        return contextlib.nullcontext()

    def take_lease(self, name: str, holder: str, known: str = "") -> str:
        """Takes or renews a lease on what workers share."""
        return str(self._call("take_lease", name, holder, known))

    def end_lease(self, name: str, holder: str) -> None:
        """Gives a lease back."""
        self._call("end_lease", name, holder)

    # Calls ---------------------------------------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any, first: bool = False, **named: Any) -> Any:
        request = json.dumps({"method": method, "arguments": arguments, "named": named}).encode()
        wait = Wait(
            self.url,
            "not to be reached",
            "not to be reached for {seconds} s ({words}); finished trials are kept",
            0.1,
            2.0,
        )
        answer = call_again(
            lambda: json.loads(self._stub(request, timeout=_CALL_SECONDS)),
            lambda error: self._final(error, first),
            wait,
            self._say,
            _words,
        )
        if "error" in answer:
            raise ERRORS.get(answer["error"], WorkError)(answer["words"])
        return answer.get("value")

    def _final(self, error: Exception, first: bool) -> Exception | None:
        """What an error of a call means; None when the server may come back."""
        import grpc

        if not isinstance(error, grpc.RpcError):
            return error
        code = error.code()
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return InputError(
                f"{self.url}: is no server of ours (Optuna's own proxy cannot give a trial to one worker only); "
                "start it with: edgenas serve"
            )
        away = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        if away and not first:
            return None
        words = f"{self.url}: no study is served there ({_words(error)}); start one with: edgenas serve RUN"
        return (UnreachableError if away else InputError)(words) if first else WorkError(words)

    def _trial(self, method: str, *arguments: Any, **named: Any) -> Trial | None:
        found = self._call(method, *arguments, **named)
        return None if found is None else self._note(decode_trial(found))

    def _one(self, method: str, *arguments: Any, **named: Any) -> Trial:
        trial = self._trial(method, *arguments, **named)
        assert trial is not None
        return trial

    # Reading -------------------------------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """What the study was created with."""
        return dict(self._call("facts"))

    def remember(self, key: str, value: Any) -> None:
        """Keeps something about the study as a whole."""
        self._call("remember", key, value)

    def recall(self, key: str) -> Any:
        """What :meth:`remember` was told."""
        return self._call("recall", key)

    def _read_news(self) -> None:
        found = self._call("news", self._count, sorted(number for number in self._open if number < self._count))
        for trial in map(decode_trial, found["trials"]):
            self._note(trial)
        self._count = found["count"]

    def _read_measured(self) -> dict[int, dict[str, float]]:
        return {int(number): costs for number, costs in self._call("measured").items()}

    def trial(self, number: int) -> Trial:
        """One trial. Raises InputError when there is none of this number."""
        return self._one("trial", number)

    # Beginning, taking, ending -------------------------------------------------------------------------------------

    def start(self, architecture: str, choices: Sequence[int], decisions: Sequence[Decision], **content: Any) -> Trial:
        """Records a new trial."""
        return self._one("start", architecture, _ints(choices), _decisions(decisions), **content)

    def claim(self, worker: str = "") -> Trial | None:
        """Takes the first waiting trial."""
        return self._trial("claim", worker)

    def adopt(
        self, number: int, architecture: str, choices: Sequence[int], decisions: Sequence[Decision], **content: Any
    ) -> Trial:
        """Makes a running trial that somebody else put in one of ours."""
        return self._one("adopt", number, architecture, _ints(choices), _decisions(decisions), **content)

    def take_back(self, worker: str) -> Trial | None:
        """The first running trial of a worker of this name."""
        return self._trial("take_back", worker)

    @property
    def beats(self) -> dict[int, str]:
        """When workers were last heard of."""
        return {int(number): beat for number, beat in self._call("beats").items()}

    def beat(self, numbers: Sequence[int], worker: str) -> tuple[int, ...]:
        """Says that a worker works on these trials."""
        return tuple(self._call("beat", list(numbers), worker))

    def take_over(self, number: int, worker: str, beat: str) -> Trial | None:
        """Takes the running trial of a silent worker."""
        return self._trial("take_over", number, worker, beat)

    def release(self, number: int, worker: str) -> None:
        """Gives a running trial back."""
        self._call("release", number, worker)

    def retry(self, number: int) -> Trial:
        """Records that a running trial is evaluated again."""
        return self._one("retry", number)

    def complete(
        self, number: int, *, metrics: Mapping[str, float], curve: Sequence[float] = (), **found: Any
    ) -> Trial:
        """Ends a running trial with its metrics."""
        plain = {name: float(value) for name, value in metrics.items()}
        found["reward"] = float(found["reward"])
        return self._one("complete", number, metrics=plain, curve=[float(value) for value in curve], **found)

    def stop(self, number: int, *, curve: Sequence[float], **found: Any) -> Trial:
        """Ends a running trial that was not worth finishing."""
        return self._one("stop", number, curve=[float(value) for value in curve], **found)

    def fail(self, number: int, *, error: str, seconds: float, worker: str = "") -> Trial:
        """Ends a running trial that has no result."""
        return self._one("fail", number, error=error, seconds=seconds, worker=worker)

    def record_measured(self, number: int, costs: Mapping[str, float]) -> None:
        """Adds costs measured on a device."""
        self._call("record_measured", number, {name: float(value) for name, value in costs.items()})


def _words(error: Exception) -> str:
    details = getattr(error, "details", lambda: str(error))()
    return " ".join(str(details).split())[:200]


def _ints(choices: Sequence[int]) -> list[int]:
    return [int(choice) for choice in choices]


def _decisions(decisions: Sequence[Decision]) -> list[list[Any]]:
    return [[decision.name, list(decision.options)] for decision in decisions]


def address_of(url: str) -> str:
    """``HOST:PORT`` of a URL. Raises InputError when there is no host or the port is none.

    >>> address_of("grpc://build-server"), address_of("grpc://[::1]:9000")
    ('build-server:13000', '[::1]:9000')
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.partition("#")[0])
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError as error:
        raise InputError(f"{url}: expected grpc://HOST:PORT ({error})") from None
    if not host:
        raise InputError(f"{url}: expected grpc://HOST:PORT")
    return with_port(host, port)


def with_port(host: str, port: int) -> str:
    """``HOST:PORT``, with brackets around an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def load_grpc() -> Any:
    """gRPC, which by itself writes lines about failed connections to standard error beside ours."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    return grpc
