"""Programs of others that come with an extra of EdgeNAS: which version is installed, or what to install."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import cache

from edgenas.spaces.errors import InputError


@cache
def installed_version(package: str) -> str | None:
    """The version of a distribution that is installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Extra:
    """A distribution (``package``) that the extra ``edgenas[name]`` brings, and in words what it is.

    >>> Extra("ethos-u-vela", "ethos-u", "Arm's compiler for Ethos-U").how_to_install
    "pip install 'edgenas[ethos-u]'"
    """

    package: str
    name: str
    what: str

    @property
    def how_to_install(self) -> str:
        return f"pip install 'edgenas[{self.name}]'"

    @property
    def version(self) -> str | None:
        """The version that is installed, or None."""
        return installed_version(self.package)

    def missing(self) -> str | None:
        """In one line what is missing and how to get it; None when it is installed."""
        if self.version is not None:
            return None
        return f"{self.what} ({self.package}) is not installed: {self.how_to_install}"

    def require(self) -> str:
        """The version that is installed. Raises InputError with what to install where there is none."""
        if words := self.missing():
            raise InputError(words)
        assert self.version is not None
        return self.version


VELA = Extra("ethos-u-vela", "ethos-u", "Arm's compiler for Ethos-U")
MICRO = Extra("tflite-micro", "micro", "the microcontrollers' interpreter")
SELECTIVE = Extra("litert-quantizer", "selective", "the quantizer of single layers")
OPENVINO = Extra("openvino", "openvino", "Intel's runtime")
DETECTION = Extra("pycocotools", "detection", "COCO's program for average precision")
