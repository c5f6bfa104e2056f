"""Boards over SSH: the runner goes to the board, models go over in portions, answers stream back.

    name: pi
    kind: ssh
    options:
      host: me@raspberrypi.local     # or hosts: [me@pi1, me@pi2], boards of one kind that share the work
      python: ~/venv/bin/python      # has NumPy and ai-edge-litert; without this key: python3

Several boards count as one device, so they must be alike: the same runtime, processor, and time of the reference
model, within ``host_difference`` (a share); others are refused. Each board's runner finds quiet moments by that board's
own anchor, and what remains of a difference goes away where a table brings every chunk to its reference clock by the
anchor beside it. A single model, or several without an anchor, are measured by the first board that answers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from edgenas.devices.device import (
    Device,
    DeviceLostError,
    DeviceSpec,
    MeasurementError,
    MeasurementOutcome,
    MeasureSettings,
    MeterFound,
    Model,
    register_device,
)
from edgenas.devices.kinds.client import Record, meter_of
from edgenas.devices.kinds.outcomes import Outcomes
from edgenas.devices.kinds.ssh_connection import Connection
from edgenas.devices.kinds.ssh_host import Patience, SshHost
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.spaces.errors import InputError

_COMPARISONS = 3
_COMPARE = MeasureSettings(warmup_seconds=0.05, min_runs=200, max_seconds=0.3, confidence=None, keep=2)
_ALIKE = ("runtime", "runtime_version", "cpu_model")
#: (name of a model, the model)
NamedModel = tuple[str, Model]


@dataclass(frozen=True)
class SshOptions:
    """The options of a device of kind ``ssh``. Raises InputError naming the key."""

    hosts: tuple[str, ...]
    python: str = "python3"
    port: int | None = None
    ssh_config: str | None = None
    ssh_options: tuple[str, ...] = ()
    temporary: str | None = None
    retries: int = 6
    retry_seconds: float = 2.0
    portion_bytes: int = 64_000_000
    host_difference: float = 0.05

    NAMES: ClassVar[tuple[str, ...]] = (
        *("host", "hosts", "python", "port", "ssh_config", "ssh_options", "temporary", "retries", "retry_seconds"),
        *("portion_bytes", "host_difference"),
    )

    @classmethod
    def of(cls, spec: DeviceSpec) -> SshOptions:
        """Reads a description's options."""
        given = dict(spec.options)
        for key in given:
            if key not in cls.NAMES:
                raise InputError(f"{spec.source}: unknown option {key!r}: kind ssh takes {', '.join(cls.NAMES)}")
        hosts = given.pop("hosts", None) or ([given["host"]] if given.get("host") else [])
        given.pop("host", None)
        if not isinstance(hosts, list) or not hosts or not all(isinstance(host, str) for host in hosts):
            raise InputError(f"{spec.source}: option 'host' (or 'hosts', a list) must name user@host, found {hosts!r}")
        if len(set(hosts)) < len(hosts):
            raise InputError(f"{spec.source}: option 'hosts' names a host twice: {hosts!r}")
        types: dict[str, type | tuple[type, ...]] = {
            **dict.fromkeys(("python", "ssh_config", "temporary"), str),
            **dict.fromkeys(("port", "retries", "portion_bytes"), int),
            **dict.fromkeys(("retry_seconds", "host_difference"), (int, float)),
            "ssh_options": list,
        }
        for key, value in given.items():
            expected = types[key]
            if (
                not isinstance(value, expected)
                or isinstance(value, bool)
                or (not isinstance(value, list) and _low(value))
            ):
                raise InputError(f"{spec.source}: option {key!r} must be {_words(expected)}, found {value!r}")
        given["ssh_options"] = tuple(map(str, given.get("ssh_options", ())))
        return cls(tuple(hosts), **given)


def _low(value: Any) -> bool:
    return isinstance(value, (int, float)) and value < 0


def _words(expected: type | tuple[type, ...]) -> str:
    names: dict[Any, str] = {str: "a text", int: "a whole number from 0", list: "a list"}
    return names.get(expected, "a number from 0")


@register_device("ssh")
class SshDevice(Device):
    """One board, or several of one kind, reached by the system's ``ssh``."""

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        self.options = options = SshOptions.of(spec)
        self.hosts = [
            SshHost(
                Connection(host, options.python, options.port, options.ssh_config, options.ssh_options),
                self.name,
                patience=Patience(options.retries, options.retry_seconds),
                portion_bytes=options.portion_bytes,
                temporary=options.temporary,
                name_host=len(options.hosts) > 1,
                power=spec.power,
            )
            for host in options.hosts
        ]
        self._compared = len(self.hosts) == 1

    @property
    def lock_names(self) -> tuple[str, ...]:
        """The boards: several devices may share one."""
        return tuple(f"ssh {host}" for host in self.options.hosts)

    def close(self) -> None:
        """Removes what is on the boards but the runner; happens by itself when Python ends."""
        for host in self.hosts:
            host.close()

    def identity(self, *, threads: int = 1) -> Provenance:
        settings = MeasureSettings(threads=threads)
        identities = [host.identity(settings) for host in self.hosts]
        for host, identity in zip(self.hosts, identities, strict=True):
            for key in _ALIKE:
                here, there = getattr(identities[0], key), getattr(identity, key)
                if here != there:
                    raise InputError(
                        f"{self.spec.source}: boards of one device must be alike: {key} is {here} on "
                        f"{self.hosts[0].host} and {there} on {host.host}; make devices of their own of them"
                    )
        return replace(identities[0], host=None)

    def meter(self) -> MeterFound:
        return meter_of(self.hosts[0].facts(MeasureSettings(energy=True)))

    def check(self) -> list[str]:
        problems = []
        for host in self.hosts:
            try:
                host.identity(MeasureSettings())
            except MeasurementError as error:
                problems.append(str(error))
        try:
            if not problems and len(self.hosts) > 1:
                self.identity()
        except InputError as error:
            problems.append(str(error))
        return problems

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        settings = settings or MeasureSettings()
        outcomes = Outcomes(on_result)
        if settings.anchor is not None and not self._compared:
            self._compare(settings.anchor, settings.threads)
        hosts = list(self.hosts)
        lost: list[DeviceLostError] = []
        jobs = list(models.items())
        while jobs:
            shares = [jobs[start :: len(hosts)] for start in range(len(hosts))]
            if settings.anchor is None:
                shares = [jobs, *[[] for _ in hosts[1:]]]
            errors = _side_by_side(list(zip(hosts, shares, strict=True)), settings, outcomes.record)
            jobs = [(name, model) for name, model in jobs if name not in outcomes]
            lost += errors.values()
            hosts = [host for host in hosts if host not in errors]
            if jobs and not hosts:
                raise DeviceLostError("; ".join(map(str, lost)))
        return {name: outcomes[name] for name in models}

    def _compare(self, anchor: bytes, threads: int) -> None:
        """Times the reference model on every board. Raises InputError when the boards are not alike."""
        fastest: dict[str, float] = {}

        def note(name: str, outcome: MeasurementOutcome) -> None:
            if isinstance(outcome, Measurement):
                fastest[name] = min(outcome.min, fastest.get(name, outcome.min))

        settings = replace(_COMPARE, threads=threads)
        for _ in range(_COMPARISONS):
            errors = _side_by_side([(host, [(host.host, anchor)]) for host in self.hosts], settings, note)
            if errors:
                raise DeviceLostError("; ".join(map(str, errors.values())))
            problem = difference(fastest, self.options.host_difference)
            if problem is None:
                break
        else:
            raise InputError(f"{self.spec.source}: {problem}")
        for host in self.hosts:
            host.anchor_ms = fastest.get(host.host)
        self._compared = True


def difference(fastest_ms: Mapping[str, float], limit: float) -> str | None:
    """What is wrong when one of several boards is slower than the fastest by more than a share, or None.

    >>> difference({"a": 1.0, "b": 1.04}, 0.05)
    >>> difference({"a": 1.0, "b": 1.2}, 0.05)
    'boards of one device must be alike within 5 %: the reference model takes 1.2 ms on b, 1 ms on a: cool it, end
    what else runs on it, or make it a device of its own'
    """
    if not fastest_ms:
        return None
    best = min(fastest_ms, key=lambda host: fastest_ms[host])
    worst = max(fastest_ms, key=lambda host: fastest_ms[host])
    if fastest_ms[worst] <= (1 + limit) * fastest_ms[best]:
        return None
    return (
        f"boards of one device must be alike within {100 * limit:g} %: the reference model takes "
        f"{fastest_ms[worst]:.3g} ms on {worst}, {fastest_ms[best]:.3g} ms on {best}: cool it, end what else runs on "
        f"it, or make it a device of its own"
    )


def _side_by_side(
    work: Sequence[tuple[SshHost, list[NamedModel]]], settings: MeasureSettings, record: Record
) -> dict[SshHost, DeviceLostError]:
    """Every host measures its share in a thread of its own; ``record`` is called in this thread only.

    Returns the hosts that were lost. What else goes wrong, in a host or in ``record``, ends all of it.
    """
    answers: queue.Queue[tuple[str, MeasurementOutcome] | tuple[SshHost, BaseException | None]] = queue.Queue()

    def run(host: SshHost, share: list[NamedModel]) -> None:
        try:
            host.measure(share, settings, lambda name, outcome: answers.put((name, outcome)))
        except BaseException as error:
            answers.put((host, error))
        else:
            answers.put((host, None))

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in work if item[1]]
    lost: dict[SshHost, DeviceLostError] = {}
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            who, what = answers.get()
            if isinstance(who, str):
                assert isinstance(what, (Measurement, MeasurementError))
                record(who, what)
                continue
            running -= 1
            if isinstance(what, DeviceLostError):
                lost[who] = what
            elif isinstance(what, BaseException):
                raise what
    finally:
        for host, _ in work:
            host.stop()
        for thread in threads:
            thread.join(timeout=5)
    return lost
