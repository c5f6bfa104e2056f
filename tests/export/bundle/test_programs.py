"""Every ``run.py`` is one file that stands alone, in the Python that boards have."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterator
from types import CodeType

import pytest

from edgenas.export.bundle import programs

PROGRAMS = sorted(name for name in vars(programs) if name.endswith("_program"))


def names_used(code: CodeType) -> Iterator[str]:
    yield from (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_used(inner)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_all_that_it_uses_and_nothing_twice(name: str) -> None:
    text = getattr(programs, name)()
    assert "from edgenas" not in text
    tree = ast.parse(text, feature_version=(3, 7))
    defined = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert sorted(set(defined)) == sorted(defined)
    namespace = {"__name__": "bundle_run", "__file__": "/somewhere/run.py"}
    code = compile(text, "run.py", "exec", dont_inherit=True)
    exec(code, namespace)
    assert set(names_used(code)) <= {*namespace, *dir(builtins)}
    assert {"main", "parse", "load_model", "verify"} <= set(defined)
