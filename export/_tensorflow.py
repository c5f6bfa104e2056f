"""The one place where TensorFlow and Keras are imported, so that they are quiet, lazy and set up alike everywhere.

TensorFlow costs about five seconds to import. Call :func:`tensorflow` and :func:`keras` inside the functions that
need them, never at the top of a module.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from types import ModuleType
from typing import Any

from edgenas.export._console import quiet_console
from edgenas.spaces.errors import InputError

#: Read by TensorFlow when it is first imported. What the user has set wins.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # errors only: the rest is about hardware that is not there
    "TF_ENABLE_ONEDNN_OPTS": "1",  # the fast CPU kernels
}


def tensorflow() -> Any:
    """The module ``tensorflow``, imported on first use. Raises InputError when it cannot be imported."""
    return _import("tensorflow")


def keras() -> Any:
    """The module ``keras`` (Keras 3 on TensorFlow), imported on first use.

    Raises InputError when it cannot be imported, or already runs on another backend (conversion needs TensorFlow).
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    tensorflow()
    module: Any = _import("keras")
    backend = module.config.backend()
    if backend != "tensorflow":
        raise InputError(f"Keras runs on {backend!r}: EdgeNAS needs KERAS_BACKEND=tensorflow before Keras is imported")
    return module


def _is_no_advice(record: logging.LogRecord) -> bool:
    """False for advice to who writes programs: each network is a graph of its own, and is traced once."""
    return "tf.function retracing" not in record.getMessage()


def _import(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    try:
        with quiet_console():
            module: Any = importlib.import_module(name)
            if name == "tensorflow":
                module.config.list_physical_devices()  # looks for GPUs, and says so, now rather than in the middle
                module.get_logger().addFilter(_is_no_advice)
    except ImportError as error:
        raise InputError(f"{name} cannot be imported ({error}): install it with 'pip install edgenas'") from error
    return module
