"""What a model is compiled for: the accelerator, the system around it, and where its data lie.

Arm's compiler reads the last two from a ``vela.ini``: its own, or one that a board's maker or a user wrote. What is
wrong with it is said here in one line, because the compiler itself may crash on it.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgenas.export.optional_package import OptionalPackage
from edgenas.spaces.errors import InputError

VELA = OptionalPackage("ethos-u-vela", "ethos-u", "Arm's compiler for Ethos-U")
#: The configuration file that comes with the compiler.
ARMS_OWN = "Arm/vela.ini"
_MEMORIES = ("Sram", "Dram", "OnChipFlash", "OffChipFlash")
_PORTS = {"Axi0": "axi0_port", "Axi1": "axi1_port"}
_MODE_KEYS = ("const_mem_area", "arena_mem_area", "cache_mem_area")
_MOST_PARENTS = 8


@dataclass(frozen=True)
class Accelerator:
    """One size of an Ethos-U: multiply-accumulates a cycle and core, cores, and bits of an address."""

    name: str
    architecture: str
    macs: int
    cores: int = 1
    address_bits: int = 32


ACCELERATORS: Mapping[str, Accelerator] = {
    each.name: each
    for each in (
        *(Accelerator(f"ethos-u55-{macs}", "EthosU55", macs) for macs in (32, 64, 128, 256)),
        Accelerator("ethos-u65-256", "EthosU65", 256, address_bits=40),
        Accelerator("ethos-u65-512", "EthosU65", 256, cores=2, address_bits=40),
        *(Accelerator(f"ethos-u85-{macs}", "EthosU85", macs, address_bits=40) for macs in (128, 256, 512, 1024, 2048)),
    )
}


def accelerator_named(name: str) -> Accelerator:
    """The accelerator of this name. Raises InputError with the known ones."""
    if name not in ACCELERATORS:
        raise InputError(f"unknown Ethos-U accelerator {name!r}: expected one of {', '.join(ACCELERATORS)}")
    return ACCELERATORS[name]


@dataclass(frozen=True)
class Configuration:
    """An accelerator in a system. Make one with :func:`configure`, which checks it.

    ``fast_memory`` and ``constant_memory`` are where tensors and where weights lie (``Sram``, ``OffChipFlash``, ...),
    ``sram_limit_bytes`` is what the memory mode lets the NPU have of the SRAM.
    """

    accelerator: Accelerator
    system: str
    memory_mode: str
    text: str
    source: str
    clock_hz: float
    fast_memory: str
    constant_memory: str
    sram_limit_bytes: int
    optimise: str = "performance"

    @property
    def compiler_system(self) -> str:
        """The system as the compiler takes it."""
        return (
            f"[architecture]\nmacs={self.accelerator.macs}\ncores={self.accelerator.cores}\n"
            f"[vela]\nsystem_config_name={self.system}\nmemory_mode_name={self.memory_mode}\n{self.text}"
        )

    @property
    def compiler_options(self) -> str:
        """The options that Arm's command line gives by default, and the database of operators."""
        return (
            "[compiler]\nenable_db=true\noutput_format=TFLite\ncop_format=COP1\n"
            f"[scheduler]\noptimize={self.optimise.capitalize()}\narena_size_limit={self.sram_limit_bytes}\n"
            "disable_feature=\ncpu_tensor_alignment=16\ntensor_allocator=HillClimb\n"
        )

    @property
    def digest(self) -> str:
        """Tells configurations apart."""
        return hashlib.sha256(f"{self.compiler_system}{self.compiler_options}".encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, object]:
        """What a board's firmware must agree with."""
        return {
            "accelerator": self.accelerator.name,
            "system_config": self.system,
            "memory_mode": self.memory_mode,
            "config": self.source,
            "clock_mhz": self.clock_hz / 1e6,
            "fast_memory": self.fast_memory,
            "constant_memory": self.constant_memory,
            "sram_limit_bytes": self.sram_limit_bytes,
            "optimise": self.optimise,
        }


def configure(
    accelerator: str,
    system: str,
    memory_mode: str,
    *,
    config: str | Path = ARMS_OWN,
    optimise: str = "performance",
    arena_cache_size: int | None = None,
) -> Configuration:
    """A checked configuration.

    ``config`` is an ``.ini`` file, or ``Arm/vela.ini`` for the compiler's own. Raises InputError naming the file and
    what is wrong with it, and where the compiler is not installed.
    """
    VELA.require()
    chosen = accelerator_named(accelerator)
    if optimise not in ("performance", "size"):
        raise InputError(f"optimise must be performance or size, not {optimise!r}")
    path = _arms_file() if str(config) == ARMS_OWN else Path(config).expanduser()
    text, parser = _read(path)
    source = str(config)
    values = _section(parser, f"System_Config.{system}", source, "system configuration")
    clock = _number(values, "core_clock", f"{source}: [System_Config.{system}]", least=1.0)
    ports = {port: _port(values, key, f"{source}: [System_Config.{system}]") for port, key in _PORTS.items()}
    mode_name = f"{source}: [Memory_Mode.{memory_mode}]"
    mode = _section(parser, f"Memory_Mode.{memory_mode}", source, "memory mode")
    areas = {key: _area(mode, key, ports, mode_name) for key in _MODE_KEYS}
    if areas["cache_mem_area"] != "Sram":
        raise InputError(f"{mode_name}: cache_mem_area leads to {areas['cache_mem_area']}; it must be Sram")
    if areas["arena_mem_area"] not in ("Sram", "Dram"):
        raise InputError(f"{mode_name}: arena_mem_area leads to {areas['arena_mem_area']}; it must be Sram or Dram")
    most = 1 << chosen.address_bits
    limit = arena_cache_size
    if limit is None:
        limit = int(_number(mode, "arena_cache_size", mode_name, least=0.0)) if "arena_cache_size" in mode else most
    if not 0 <= limit <= most:
        raise InputError(f"{mode_name}: arena_cache_size is {limit}; it must be from 0 to {most}")
    return Configuration(
        chosen,
        system,
        memory_mode,
        text,
        source,
        clock,
        areas["arena_mem_area"],
        areas["const_mem_area"],
        limit,
        optimise,
    )


def _arms_file() -> Path:
    found = importlib.util.find_spec("ethosu")
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    if not folders:
        raise InputError(f"the installed {VELA.name} has no configuration files: {VELA.how_to_install}")
    return Path(folders[0]) / "config_files" / ARMS_OWN


def _read(path: Path) -> tuple[str, configparser.ConfigParser]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path}: cannot be read as a configuration of Vela ({reason})") from None
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        first = " ".join(str(error).split())
        raise InputError(f"{path}: is no configuration of Vela: {first}") from None
    return text, parser


def _section(parser: configparser.ConfigParser, name: str, source: str, what: str) -> dict[str, str]:
    """The keys of a section with those that it inherits; keys keep the case in which they are looked up (lower)."""
    kind = name.partition(".")[0]
    known = ", ".join(each.partition(".")[2] for each in parser.sections() if each.startswith(f"{kind}."))
    chain: list[str] = []
    while name:
        if not parser.has_section(name):
            raise InputError(
                f"{source}: has no {what} {name.partition('.')[2]!r} (section [{name}]): expected one of {known}"
            )
        if name in chain or len(chain) == _MOST_PARENTS:
            raise InputError(f"{source}: [{name}] inherits from itself")
        chain.append(name)
        name = parser.get(name, "inherit", fallback="", raw=True)
    values: dict[str, str] = {}
    for each in reversed(chain):
        values |= dict(parser.items(each, raw=True))
    return values


def _number(values: Mapping[str, str], key: str, where: str, *, least: float) -> float:
    try:
        number = float(values[key])
    except KeyError:
        raise InputError(f"{where}: lacks the key {key!r}") from None
    except ValueError:
        raise InputError(f"{where}: {key} must be a number, found {values[key]!r}") from None
    if not least <= number < float("inf"):
        raise InputError(f"{where}: {key} must be at least {least:g}, found {values[key]!r}")
    return number


def _port(values: Mapping[str, str], key: str, where: str) -> str:
    if key not in values:
        raise InputError(f"{where}: lacks the key {key!r}")
    if values[key] not in _MEMORIES:
        raise InputError(f"{where}: {key} must be one of {', '.join(_MEMORIES)}, found {values[key]!r}")
    return values[key]


def _area(values: Mapping[str, str], key: str, ports: Mapping[str, str], where: str) -> str:
    if key not in values:
        raise InputError(f"{where}: lacks the key {key!r}")
    if values[key] not in ports:
        raise InputError(f"{where}: {key} must be Axi0 or Axi1, found {values[key]!r}")
    return ports[values[key]]
