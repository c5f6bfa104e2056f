"""The TFLite flatbuffer schema, taken from the installed runtime so that both always agree.

``ai-edge-litert`` ships the Python module that ``flatc`` generates from the schema. It imports in about 10 ms and
needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from types import ModuleType

from edgenas.spaces.errors import InputError

#: Bytes 4 to 8 of every model file.
FILE_IDENTIFIER = b"TFL3"
#: The only version of the schema in use.
SCHEMA_VERSION = 3


@lru_cache(maxsize=1)
def schema() -> ModuleType:
    """The generated schema module. Raises InputError when no runtime that brings one is installed."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise InputError(
            f"reading and writing TFLite models needs the package ai-edge-litert ({error}): "
            "install it with 'pip install ai-edge-litert'"
        ) from None
    module: ModuleType = schema_py_generated
    return module


@cache
def enum_names(enum: str) -> Mapping[int, str]:
    """Names of one of the schema's enumerations by number.

    >>> enum_names("BuiltinOperator")[3], enum_names("TensorType")[9]
    ('CONV_2D', 'INT8')
    """
    members = vars(getattr(schema(), enum))
    return {number: name for name, number in members.items() if isinstance(number, int)}


def builtin_name(code: int) -> str:
    """Name of a builtin operator; one that this schema does not know yet is called by its number."""
    return enum_names("BuiltinOperator").get(code, f"BUILTIN_{code}")
