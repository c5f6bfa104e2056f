"""What a model is compiled for: the accelerator, the system around it, and where its data lie.

Arm's compiler reads the last two from a ``vela.ini``: its own, or one that a board's maker or a user wrote. What is
wrong with it is said here in one line, because the compiler itself may crash on it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenas.export.compilers.ethos_u import ini
from edgenas.export.extra import VELA
from edgenas.spaces.errors import InputError

#: The configuration file that comes with the compiler.
ARMS_OWN = "Arm/vela.ini"


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
    text, parser = ini.read_ini(path)
    source = str(config)
    if source == ARMS_OWN:
        _check_product(chosen, system, parser.sections())
    system_name, mode_name = f"{source}: [System_Config.{system}]", f"{source}: [Memory_Mode.{memory_mode}]"
    values = ini.section(parser, f"System_Config.{system}", source, "system configuration")
    clock = ini.number(values, "core_clock", system_name, least=1.0)
    ports = {port: ini.port(values, key, system_name) for port, key in ini.PORTS.items()}
    ini.check_memories(values, system_name)
    mode = ini.section(parser, f"Memory_Mode.{memory_mode}", source, "memory mode")
    areas = {key: ini.area(mode, key, ports, mode_name) for key in ini.MODE_KEYS}
    if areas["cache_mem_area"] != "Sram":
        raise InputError(f"{mode_name}: cache_mem_area leads to {areas['cache_mem_area']}; it must be Sram")
    if areas["arena_mem_area"] not in ("Sram", "Dram"):
        raise InputError(f"{mode_name}: arena_mem_area leads to {areas['arena_mem_area']}; it must be Sram or Dram")
    most = 1 << chosen.address_bits
    limit = arena_cache_size
    if limit is None:
        limit = int(ini.number(mode, "arena_cache_size", mode_name, least=0.0)) if "arena_cache_size" in mode else most
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


def _check_product(accelerator: Accelerator, system: str, sections: Sequence[str]) -> None:
    """Raises InputError where Arm's own system is of another product than the accelerator: Vela would take it."""
    product = accelerator.architecture.removeprefix("Ethos")
    systems = [each.removeprefix("System_Config.") for each in sections if each.startswith("System_Config.Ethos_")]
    if system in systems and not system.startswith(f"Ethos_{product}_"):
        fitting = ", ".join(each for each in systems if each.startswith(f"Ethos_{product}_"))
        raise InputError(
            f"{ARMS_OWN}: the system configuration {system!r} is not of an Ethos-{product}, and the accelerator is "
            f"{accelerator.name}: expected one of {fitting}, or a configuration file of your own"
        )


def _arms_file() -> Path:
    found = importlib.util.find_spec("ethosu")
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    if not folders:
        raise InputError(f"the installed {VELA.package} has no configuration files: {VELA.how_to_install}")
    return Path(folders[0]) / "config_files" / ARMS_OWN
