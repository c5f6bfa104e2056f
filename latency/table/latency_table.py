"""Latency tables: signature -> quiet latency, for one device, precision and runtime, in a file that people can read.

    # edgenas-latency-table: 4
    # device: local-cpu
    # runtime: ai-edge-litert 2.3.0
    # ...
    # calibration 0a1b2c3d4e5f: {...}
    signature,latency_ms,spread,quiet_visits,visits,energy_mj,weight_bytes,...,profiled_for,sram_bytes,flash_bytes
    conv(filters=16 stride=2)@28x28x1/int8,0.00512,0.013,8,11,0.0212,208,...,0a1b2c3d4e5f,0,0
    # sha256: 0f3c...

Rows are sorted, so two tables can be compared with ``diff``. The last line is a checksum of all before it: a file that
was cut off or changed is refused. ``energy_mj`` is empty where it is not known; tables from before there were the last
columns are read all the same. There is one calibration for each space that was profiled
(:mod:`edgenas.latency.predict.calibrations`),
and rows tell which ones they were profiled for; a table of schema 2 has a single one, for all its rows.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edgenas.devices import Device, Provenance, edgenas_home
from edgenas.devices.measurement import Kind
from edgenas.export.files import write_atomically
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.calibrations import calibration_of_blocks, default_calibration
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.row import Row
from edgenas.latency.table.text import read_text, schema_of, write_text
from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.errors import InputError

Named = TypeVar("Named", Calibration, TableEnergy)

_TEXT_KEYS = ("device", "precision", "runtime", "runtime_version", "protocol", "statistic", "created")
_KINDS: Mapping[str, Kind] = {"simulated": "simulated", "modelled": "modelled"}
#: How a table of a device that always gives the same number is made; its protocol says of which kind that number is.
COMPUTED_PROTOCOL = "each block inside a network, a constant for what a network costs besides"
#: Statistic of a table of measured latencies.
QUIET = "quiet_min"
#: Statistic of a table that knows energies only: the column ``latency_ms`` is empty then.
UNKNOWN_LATENCY = "none"
_OPTIONAL_KEYS = ("cpu_model", "governor", "frequency_mhz", "temperature_c", "system", "kind")


@dataclass(frozen=True)
class LatencyTable:
    """Costs by signature, and what they were measured on. See the module for the file.

    ``calibration`` and ``energy`` are those in use: of networks that nothing is known of, or, in a copy that
    :meth:`for_calibration` made, of the networks of one space. ``calibrations`` and ``energies`` hold them all, by
    :attr:`Calibration.of`, in the order in which the spaces were profiled.
    """

    device: str
    precision: str
    runtime: str
    runtime_version: str
    threads: int
    protocol: str
    #: Time of the reference model at the clock that latencies are brought to, in ms (see
    #: edgenas.latency.measure.visits).
    anchor_ms: float
    created: str
    rows: Mapping[str, Row] = field(default_factory=dict)
    calibration: Calibration | None = None
    statistic: str = QUIET
    cpu_model: str | None = None
    governor: str | None = None
    frequency_mhz: str | None = None
    temperature_c: str | None = None
    system: str | None = None
    #: ``simulated`` for a table that no device was asked for, ``modelled`` for one made from another's; None: measured.
    kind: str | None = None
    #: Where the energies of the rows come from; None: there are none.
    energy: TableEnergy | None = None
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    energies: Mapping[str, TableEnergy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.calibration is not None:
            of = self.calibration.of
            object.__setattr__(self, "calibrations", {**self.calibrations, of: self.calibration})
            if self.energy is not None:
                object.__setattr__(self, "energies", {**self.energies, of: self.energy})
        if self.precision not in PRECISIONS:
            raise InputError(f"unknown precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}")
        object.__setattr__(self, "rows", dict(sorted(self.rows.items())))
        for signature, row in self.rows.items():
            is_unknown = math.isnan(row.latency_ms) and self.statistic == UNKNOWN_LATENCY and row.energy_mj is not None
            if not (0 < row.latency_ms < float("inf") or is_unknown):
                raise InputError(f"latency of {signature!r} must be a positive number of ms, not {row.latency_ms!r}")
            if not (0 <= row.cache_miss_ms < float("inf")):
                raise InputError(
                    f"cache_miss_ms of {signature!r} must be a number of ms from 0, not {row.cache_miss_ms!r}"
                )
            if row.energy_mj is not None and not (0 <= row.energy_mj < float("inf")):
                raise InputError(f"energy of {signature!r} must be a number of mJ from 0, not {row.energy_mj!r}")

    def visit_settings(self, settings: QuietSettings | None = None) -> QuietSettings:
        """How to visit networks that predictions of this table are compared with: as its blocks were, which is operator
        by operator, fast networks too, where they were seen in networks.
        """
        settings = settings or QuietSettings()
        in_networks = any(row.networks for row in self.rows.values())
        return dataclasses.replace(settings, operators_above=0.0) if in_networks else settings

    @property
    def knows_latency(self) -> bool:
        """Whether it holds latencies, and not energies alone."""
        return self.statistic != UNKNOWN_LATENCY

    @property
    def is_adapted(self) -> bool:
        """Whether it was made from the table of another device."""
        return self.kind == "modelled" and not self.protocol.endswith(COMPUTED_PROTOCOL)

    @property
    def networks_kind(self) -> Kind:
        """How the latencies of the whole networks are known that its error was found on."""
        if not self.is_adapted:
            return self.provenance.kind
        return _KINDS.get(self.statistic, "measured")

    @property
    def provenance(self) -> Provenance:
        """Where the numbers come from."""
        return Provenance(
            kind=_KINDS.get(self.kind or "", "measured"),
            device=self.device,
            runtime=self.runtime,
            runtime_version=self.runtime_version,
            threads=self.threads,
            cpu_model=self.cpu_model,
            governor=self.governor,
            protocol=self.protocol,
            system=self.system,
            time_utc=self.created,
        )

    # Text ----------------------------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """The content of the file."""
        header = {key: str(getattr(self, key)) for key in _TEXT_KEYS}
        header |= {"threads": str(self.threads), "anchor_ms": repr(self.anchor_ms)}
        header |= {key: str(value) for key in _OPTIONAL_KEYS if (value := getattr(self, key)) is not None}
        for of, calibration in self.calibrations.items():
            header[_key("calibration", of)] = json.dumps(calibration.to_json(), sort_keys=True)
        usual = self.as_usual()
        if usual.energy is not None:
            header |= usual.energy.to_header()
        for of, fitted in self.energies.items():
            header[_key("energy", of)] = json.dumps(fitted.to_header(), sort_keys=True)
        return write_text(header, self.rows)

    @classmethod
    def from_text(cls, text: str, source: str = "<text>") -> LatencyTable:
        """Reads :meth:`to_text`. Raises InputError naming the source, the line or key, and the fix."""
        header, rows = read_text(text, source)
        missing = [key for key in (*_TEXT_KEYS, "threads", "anchor_ms") if key not in header]
        if missing:
            raise InputError(f"{source}: the header lacks the key {missing[0]!r}: run `edgenas profile` again")
        try:
            calibrations = {each.of: each for each in _named(header, "calibration", Calibration.from_json).values()}
            if schema_of(header) == "2":  # one calibration, whatever its rows had been profiled for
                marks = tuple(of for of in calibrations if of)
                rows = {signature: dataclasses.replace(row, profiled_for=marks) for signature, row in rows.items()}
            table = cls(
                **{key: header[key] for key in _TEXT_KEYS},
                **{key: header[key] for key in _OPTIONAL_KEYS if key in header},
                threads=int(header["threads"]),
                anchor_ms=float(header["anchor_ms"]),
                rows=rows,
                calibration=None,
                energy=TableEnergy.from_header(header),
                calibrations=calibrations,
                energies=_named(header, "energy", _energy_from),
            )
            return table.as_usual()
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{source}: the header makes no sense ({error}): run `edgenas profile` again") from None

    # Files ---------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Writes the file whole or not at all. Raises WorkError when the disk does not take it."""
        path = Path(path)
        write_atomically(path, self.to_text())
        return path

    @classmethod
    def load(cls, path: str | Path, *, device: str | None = None, precision: str | None = None) -> LatencyTable:
        """Reads a table, and refuses one of another device or precision than asked for. Raises InputError."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(
                f"there is no latency table {path}: make it with `edgenas profile --space SPACE --device "
                f"{device or 'DEVICE'}`"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a latency table: {error}") from None
        table = cls.from_text(text, str(path))
        for key, expected in (("device", device), ("precision", precision)):
            if expected is not None and getattr(table, key) != expected:
                raise InputError(
                    f"{path}: is a table of {key} {getattr(table, key)!r}, not of {expected!r}: make that one with "
                    f"`edgenas profile`, or name the right table"
                )
        return table

    def with_rows(self, rows: Mapping[str, Row]) -> LatencyTable:
        """A copy with rows added or replaced."""
        return dataclasses.replace(self, rows={**self.rows, **rows})

    def with_energies(self, energies_mj: Mapping[str, float], energy: TableEnergy | None) -> LatencyTable:
        """A copy with these energies by signature, and none for other rows: energies of a table are of one origin.

        What was fitted for other calibrations is kept where it has that origin.
        """
        rows = {name: dataclasses.replace(row, energy_mj=energies_mj.get(name)) for name, row in self.rows.items()}
        kept = {of: each for of, each in self.energies.items() if energy is not None and each.has_origin(energy)}
        return dataclasses.replace(self, rows=rows, energy=energy, energies=kept)

    def with_session(self, *, anchor_ms: float, calibration: Calibration, created: str) -> LatencyTable:
        """A copy after a session of measuring, with the calibration of its networks in use; others stay as they are."""
        new = dataclasses.replace(calibration, created=created)
        energy = self.energies.get(new.of, self.energy)
        return dataclasses.replace(self, anchor_ms=anchor_ms, calibration=new, energy=energy, created=created)

    def marked(self, signatures: Iterable[str], of: str) -> LatencyTable:
        """A copy whose rows of these signatures say that they were profiled for a calibration."""
        rows = {name: self.rows[name] for name in signatures if name in self.rows}
        return self.with_rows(
            {
                name: dataclasses.replace(row, profiled_for=(*row.profiled_for, of))
                for name, row in rows.items()
                if of not in row.profiled_for
            }
        )

    def for_calibration(self, of: str) -> LatencyTable:
        """A copy that speaks about the networks of one calibration, or as usual where it has no such calibration."""
        if of not in self.calibrations:
            return self.as_usual()
        return self._using(self.calibrations[of])

    def for_blocks(self, signatures: Iterable[str]) -> LatencyTable:
        """A copy that speaks about a network of these blocks."""
        known = [self.rows[signature].profiled_for for signature in signatures if signature in self.rows]
        return self._using(calibration_of_blocks(self.calibrations, known))

    def with_one_calibration(self) -> LatencyTable:
        """A copy that knows no other calibration than the one in use."""
        return dataclasses.replace(self, calibrations={}, energies={})

    def as_usual(self) -> LatencyTable:
        """A copy that speaks about networks that nothing is known of."""
        return self._using(default_calibration(self.calibrations))

    def _using(self, calibration: Calibration | None) -> LatencyTable:
        if calibration is None:
            return self
        energy = self.energy and self.energies.get(calibration.of, self.energy)
        return dataclasses.replace(self, calibration=calibration, energy=energy)

    def differences(self, identity: Provenance) -> list[str]:
        """What differs between the table's device and a device as it is now; the numbers then do not hold."""
        pairs = {
            key: (getattr(self, key), getattr(identity, key))
            for key in ("device", "runtime", "runtime_version", "threads")
        }
        if self.cpu_model and identity.cpu_model:
            pairs["cpu_model"] = (self.cpu_model, identity.cpu_model)
        return [f"{key} was {was}, is now {now}" for key, (was, now) in pairs.items() if was != now]

    def check_device(self, device: Device, source: str = "the latency table") -> None:
        """Raises InputError when the table was measured under another runtime, its version, or another processor."""
        differences = self.differences(device.identity(threads=self.threads))
        if differences:
            raise InputError(
                f"{source} does not hold for device {device.name!r}: {'; '.join(differences)}. "
                f"Measure again with `edgenas profile --device {device.name} --fresh`"
            )


def default_table_path(device: str, precision: str) -> Path:
    """``~/.edgenas/tables/DEVICE-PRECISION.csv``: signatures of all spaces share one table."""
    return edgenas_home() / "tables" / f"{device}-{precision}.csv"


def _key(what: str, of: str) -> str:
    return f"{what} {of}" if of else what


def _named(header: Mapping[str, str], what: str, read: Callable[[Any], Named]) -> dict[str, Named]:
    """What the header holds once for each calibration, by the calibration's name."""
    found = {}
    for key, value in header.items():
        first, _, of = key.partition(" ")
        if first == what:
            found[of] = read(json.loads(value))
    return found


def _energy_from(plain: Mapping[str, str]) -> TableEnergy:
    energy = TableEnergy.from_header(plain)
    if energy is None:
        raise ValueError("an energy without its kind")
    return energy
