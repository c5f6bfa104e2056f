"""YAML that cannot hurt: bounded in size, depth and aliases, no key twice, and numbers as people write them.

PyYAML follows YAML 1.1, in which ``4e6`` is text because it has no point and no sign. Here it is a number, as in
YAML 1.2, and a date is text, since nothing that EdgeNAS reads is a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_regular_file
from edgenas.spaces.text import one_line

#: Largest file that is read. The largest that EdgeNAS writes has some ten kilobytes.
MAX_BYTES = 1_000_000
#: Most values in a document, each counted as often as aliases repeat it.
MAX_NODES = 50_000
#: Deepest nesting of lists and mappings.
MAX_DEPTH = 100
#: Whole numbers end where programs that store them (NumPy, SQLite) do.
_MAX_WHOLE = 2**63 - 1

_FLOAT_TAG = "tag:yaml.org,2002:float"
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$|[-+]\.[0-9][0-9_]*$")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Document:
    """A YAML text as plain data, and the tree it was made from, which knows the lines."""

    value: Any
    root: yaml.Node | None


def read_document(path: Path, what: str = "YAML", *, numbers: bool = True) -> Document:
    """The document in a file; see :func:`parse_document`. Raises InputError when it cannot be read."""
    state = check_regular_file(path, what)
    _check_size(str(path), state.st_size)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read as {what} ({error.strerror})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: cannot be read as {what} (byte 0x{content[error.start]:02x} at {error.start} is not UTF-8); "
            "save it as UTF-8"
        ) from None
    return parse_document(text, str(path), numbers=numbers)


def parse_document(text: str, source: str, *, numbers: bool = True) -> Document:
    """A YAML text as plain data, by safe loading only.

    ``numbers=False`` keeps to YAML 1.1, in which other programs have written (``12e5`` is text there).
    Raises InputError, one line that names ``source``, for text that is not YAML, over :data:`MAX_BYTES`,
    :data:`MAX_NODES` or :data:`MAX_DEPTH`, for aliases that contain themselves, and for a key that is there twice.
    """
    _check_size(source, len(text))
    loader: _Counting | None = None
    try:
        loader = (_Loader if numbers else _Loader11)(text.removeprefix("\ufeff"))
        root = loader.get_single_node()
        if root is None:
            return Document(None, None)
        _check_expanded(root)
        _check_keys(root, source)
        return Document(loader.construct_document(root), root)
    except yaml.YAMLError as error:
        raise InputError(f"{source}: not valid YAML: {_words(error)}") from None
    except RecursionError:
        raise InputError(f"{source}: not valid YAML: nested too deeply") from None
    except (ValueError, KeyError, AttributeError, TypeError, IndexError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: not valid YAML: a value does not fit its tag ({one_line(str(error))})") from None
    finally:
        if loader is not None:
            loader.dispose()


def dump_yaml(value: Any, *, width: int = 110, flow: bool = False) -> str:
    """Plain data as YAML that :func:`parse_document` reads back: text that looks like a number is quoted."""
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width, default_flow_style=flow)
    )


def decimal_comma(value: object) -> str:
    """Advice for a number that was written with a comma, else empty.

    >>> decimal_comma("0,3")
    'write 0.3: decimals have a point'
    """
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()):
        return f"write {value.strip().replace(',', '.')}: decimals have a point"
    return ""


def number_as_key(key: object) -> str:
    """What to say about a key that is a number: ``{latency_ms: 0,3}`` has the keys ``latency_ms`` and ``3``."""
    hint = f"; if a decimal such as 0,{key} was meant, write 0.{key}" if type(key) is int and key >= 0 else ""
    return f"found the key {key!r} that is no text{hint}"


class _Counting(yaml.SafeLoader):
    """Stops composing as soon as a document is too large or too deep."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES:,} values")
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number that other programs can store."""
        digits = len(node.value)
        value = super().construct_yaml_int(node) if digits <= 100 else None
        if value is None or abs(value) > _MAX_WHOLE:
            raise yaml.constructor.ConstructorError(
                None, None, f"a whole number of {digits} characters; they end at {_MAX_WHOLE}", node.start_mark
            )
        return int(value)


_Counting.add_constructor("tag:yaml.org,2002:int", _Counting.construct_yaml_int)


class _Loader11(_Counting):
    """Scalars as YAML 1.1 reads them."""


class _Loader(_Counting):
    """Scalars as people mean them."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own name for it)
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.SafeDumper):
    """Quotes what :class:`_Loader` would take for a number."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(_FLOAT_TAG, _NUMBER, list("-+.0123456789"))


def _check_size(source: str, size: int) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{source}: has {size:,} bytes, more than the {MAX_BYTES:,} that are read; is it a YAML file?")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_expanded(root: yaml.Node) -> None:
    """Aliases make the tree a graph: counts it as if each was written out, without doing so."""
    sizes: dict[int, tuple[int, int]] = {}
    opened: set[int] = set()
    pending = [(root, False)]
    while pending:
        node, finished = pending.pop()
        if finished:
            parts = [sizes[id(child)] for child in _children(node)]
            size, depth = 1 + sum(part[0] for part in parts), 1 + max((part[1] for part in parts), default=0)
            if size > MAX_NODES:
                raise _at(node, f"aliases that make more than {MAX_NODES:,} values")
            if depth > MAX_DEPTH:
                raise _at(node, f"nested more than {MAX_DEPTH} deep")
            sizes[id(node)] = (size, depth)
        elif id(node) in opened and id(node) not in sizes:
            raise _at(node, "an alias that contains itself")
        elif id(node) not in sizes:
            opened.add(id(node))
            pending.append((node, True))
            pending += [(child, False) for child in _children(node)]


def _check_keys(root: yaml.Node, source: str) -> None:
    """YAML itself would keep the last of two equal keys."""
    pending, seen = [root], set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        pending += _children(node)
        known = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if (key.tag, key.value) in known:
                line = key.start_mark.line + 1
                raise InputError(f"{source}, line {line}: the key {key.value!r} is there twice; remove one")
            known.add((key.tag, key.value))


def _at(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.composer.ComposerError(None, None, problem, node.start_mark)


def _words(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return one_line(str(error))
    words = f"{one_line(' '.join(filter(None, (error.context, error.problem))))} (line {error.problem_mark.line + 1})"
    return words + ("; indent with spaces, not with tabs" if "'\\t'" in words else "")
