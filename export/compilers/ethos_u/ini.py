"""Configuration files of Vela: read, and every value checked that the compiler takes.

The compiler takes a misspelt key or a word in place of a number without a sound, and estimates something else.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from edgenas.spaces.errors import InputError

MEMORIES = ("Sram", "Dram", "OnChipFlash", "OffChipFlash")
PORTS = {"Axi0": "axi0_port", "Axi1": "axi1_port"}
MODE_KEYS = ("const_mem_area", "arena_mem_area", "cache_mem_area")
_MOST_PARENTS = 8
#: Beyond any clock in Hz, and any count of cycles or bytes.
_MOST = 1e12
#: The least value of each figure of a memory.
_OF_MEMORY = {
    "clock_scale": 1e-6,
    "burst_length": 1.0,
    "read_latency": 0.0,
    "write_latency": 0.0,
    "max_reads": 0.0,
    "max_writes": 0.0,
    "ports_used": 1.0,
}
_SYSTEM_KEYS = (
    *("inherit", "core_clock", *PORTS.values()),
    *(f"{memory.lower()}_{key}" for memory in MEMORIES for key in _OF_MEMORY),
)
_KEYS = {"System_Config": _SYSTEM_KEYS, "Memory_Mode": ("inherit", *MODE_KEYS, "arena_cache_size")}


def read_ini(path: Path) -> tuple[str, configparser.ConfigParser]:
    """The text of a file and what is in it. Raises InputError for what is no such file."""
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


def section(parser: configparser.ConfigParser, name: str, source: str, what: str) -> dict[str, str]:
    """The keys of a section with those that it inherits, in lower case.

    Raises InputError for a section that is not there, and for a key that the compiler would pass over.
    """
    kind = name.partition(".")[0]
    sections = ", ".join(each.partition(".")[2] for each in parser.sections() if each.startswith(f"{kind}."))
    chain: list[str] = []
    while name:
        if not parser.has_section(name):
            wanted = f"expected one of {sections}" if sections else "it has no such section at all"
            raise InputError(f"{source}: has no {what} {name.partition('.')[2]!r} (section [{name}]): {wanted}")
        if name in chain or len(chain) == _MOST_PARENTS:
            raise InputError(f"{source}: [{name}] inherits from itself")
        chain.append(name)
        name = parser.get(name, "inherit", fallback="", raw=True)
    values: dict[str, str] = {}
    for each in reversed(chain):
        values |= dict(parser.items(each, raw=True))
    known = _KEYS[kind]
    if unknown := next((key for key in values if key not in known), None):
        expected = (key for key in known if not key.startswith(tuple(memory.lower() for memory in MEMORIES)))
        memories = f", or MEMORY_{{{', '.join(_OF_MEMORY)}}}" if kind == "System_Config" else ""
        raise InputError(f"{source}: [{chain[0]}]: unknown key {unknown!r}: expected {', '.join(expected)}{memories}")
    return values


def number(values: Mapping[str, str], key: str, where: str, *, least: float) -> float:
    """A figure of a section. Raises InputError when it is missing, no number, or out of its range."""
    try:
        found = float(values[key])
    except KeyError:
        raise InputError(f"{where}: lacks the key {key!r}") from None
    except ValueError:
        raise InputError(f"{where}: {key} must be a number, found {values[key]!r}") from None
    if not least <= found <= _MOST:
        raise InputError(f"{where}: {key} must be from {least:g} to {_MOST:g}, found {values[key]!r}")
    return found


def check_memories(values: Mapping[str, str], where: str) -> None:
    """Raises InputError for a figure of a memory that is no number, or out of its range."""
    for memory in MEMORIES:
        for key, least in _OF_MEMORY.items():
            if (name := f"{memory.lower()}_{key}") in values:
                number({f"{memory}_{key}": values[name]}, f"{memory}_{key}", where, least=least)


def port(values: Mapping[str, str], key: str, where: str) -> str:
    """The memory behind a port. Raises InputError for none that the compiler knows."""
    if key not in values:
        raise InputError(f"{where}: lacks the key {key!r}")
    if values[key] not in MEMORIES:
        raise InputError(f"{where}: {key} must be one of {', '.join(MEMORIES)}, found {values[key]!r}")
    return values[key]


def area(values: Mapping[str, str], key: str, ports: Mapping[str, str], where: str) -> str:
    """The memory that a memory mode puts something in. Raises InputError for what names no port."""
    if key not in values:
        raise InputError(f"{where}: lacks the key {key!r}")
    if values[key] not in ports:
        raise InputError(f"{where}: {key} must be Axi0 or Axi1, found {values[key]!r}")
    return ports[values[key]]
