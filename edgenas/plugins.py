"""A user's own tasks, blocks, devices, algorithms, evaluators: Python files or modules that register them on import.

They are named in a recipe under ``plugins``, on the command line after ``--import``, or by an installed package with an
entry point in the group ``edgenas.plugins``. The command line and every worker process import them, so that what they
register is known everywhere. What ``--import`` names is written into the recipe of a run, which needs it again.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.paths import check_path, check_regular_file
from edgenas.spaces.text import one_line

ENTRY_POINT_GROUP = "edgenas.plugins"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_given: list[str] = []
_installed: set[str] = set()


def load_plugins(names: Iterable[str | Path], key: str = "plugins") -> None:
    """Imports each file or module once, after those of installed packages.

    Raises InputError naming the one that is missing or fails, and why; ``key`` is where it was named.
    """
    load_installed()
    for name in names:
        if is_module(str(name)):
            _load_module(str(name), key)
        else:
            _load(Path(name).resolve(), key)


def import_given(names: Iterable[str]) -> None:
    """Imports what a command was given, and remembers it for the recipe of a run. Raises as :func:`load_plugins`."""
    for name in names:
        found = located(name, Path.cwd(), "--import")
        load_plugins([found], "--import")
        if found not in _given:
            _given.append(found)


def given() -> tuple[str, ...]:
    """What :func:`import_given` has imported: module names, and absolute paths of files."""
    return tuple(_given)


def load_installed() -> None:
    """Imports what installed packages declare. One that fails is told on standard error, and is missing then."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in _installed:
            continue
        _installed.add(point.name)
        try:
            point.load()
        except Exception as error:  # somebody's package: what does not need it goes on
            words = one_line(f"plug-in {point.name!r} ({point.value}) cannot be used: {type(error).__name__}: {error}")
            print(words, file=sys.stderr)


def is_module(name: str) -> bool:
    """Whether a plug-in is named as a module, rather than as a file.

    >>> is_module("my_package.blocks"), is_module("blocks.py"), is_module("./blocks.py")
    (True, False, False)
    """
    return _MODULE.fullmatch(name) is not None and not name.endswith(".py")


def located(name: str, folder: Path, key: str = "plugins") -> str:
    """A plug-in as it is found from a folder: a file's path from there, a module as it is."""
    return name if is_module(name) else str(folder / check_path(name, key))


def _load_module(name: str, key: str) -> None:
    if name in sys.modules:
        return
    try:
        module = importlib.import_module(name)
        if getattr(module, "__file__", None) is None and hasattr(module, "__path__"):
            del sys.modules[name]
            folder = name.replace(".", "/")
            raise InputError(f"is a folder without __init__.py; name the file in it: {folder}/FILE.py")
    except EdgeNASError as error:
        raise InputError(f"{key}: {name}: {error}") from None
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(f"{key}: {name}: {error}") from None
        raise InputError(
            f"{key}: there is no module {error.name!r}; install it, put its folder on PYTHONPATH, or name its file "
            f"({name.replace('.', '/')}.py)"
        ) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InputError(f"{key}: {name}: {type(error).__name__}: {one_line(str(error))}") from None


def _load(path: Path, key: str) -> None:
    if path.suffix != ".py":
        raise InputError(f"{key}: {path} is no Python file; expected a name that ends in .py, or a module's name")
    name = f"edgenas_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return
    check_regular_file(path, "a plug-in")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except EdgeNASError as error:
        del sys.modules[name]
        raise InputError(f"{key}: {path}: {error}") from None
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        line = _line(error, path)
        raise InputError(f"{key}: {path}{line}: {type(error).__name__}: {' '.join(str(error).split())}") from None


def _line(error: BaseException, path: Path) -> str:
    """``:LINE`` of the file where the error comes from, if it can be told."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""
