"""A user's own tasks, blocks and algorithms: Python files that register them when they are imported.

The command line and every worker process import them, so that what they register is known everywhere.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.paths import check_regular_file


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Imports each file once. Raises InputError naming the file that is missing or fails, and why."""
    for path in paths:
        _load(Path(path).resolve())


def _load(path: Path) -> None:
    if path.suffix != ".py":
        raise InputError(f"plugins: {path} is no Python file; expected a name that ends in .py")
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
        raise InputError(f"plugins: {path}: {error}") from None
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        line = _line(error, path)
        raise InputError(f"plugins: {path}{line}: {type(error).__name__}: {' '.join(str(error).split())}") from None


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
