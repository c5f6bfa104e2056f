"""A space as a file to edit: the text of another one, under a name of its own, with a comment at each key."""

from __future__ import annotations

import re
from pathlib import Path

from edgenas.spaces.space.spec import parse_spec, space_names, space_path
from edgenas.spaces.yaml_files import read_yaml
from edgenas.spaces.yaml_reading import dump_yaml

_ABOUT = """\
# A space of your own, copied from {source}. Change it, then look at what it holds:
#   edgenas spaces show {file}
#   edgenas spaces sample {file}
# In a recipe: space: {{path: {file}}}
#
# A list is a decision of the search, its elements are the options. A single value is no decision.
"""
#: What is said above the first line with a key, at that line's indentation.
_COMMENTS = {
    "input_shape": "[height, width, channels]. In a run, the data decide; on the command line, --input-shape.",
    "classes": "In a run, the data decide; on the command line, --classes.",
    "cells": "Groups of nodes under a name; they may stand at several places.",
    "stem": "The first block.",
    "stages": "Stages follow each other. In one, all layers have the same width.",
    "stride": "Of the stage's first layer; 2 halves height and width there.",
    "filters": "Width of the layers, in channels.",
    "depth": "How many layers.",
    "layers": "First layer, second, ...; the last entry repeats up to the depth.",
    "blocks": "Which block stands here, and the options of each.",
    "nodes": "The general form: blocks with names that read each other.",
    "head": "What comes after the last stage or node.",
}
_KEY = re.compile(r"^(?P<indent> *)(?:- )?(?P<key>\w+):")


def copied_space(name_or_path: str, file: Path) -> str:
    """The YAML of a space for ``file``, which names it: the same networks, with comments.

    Raises InputError when there is no such space, or its file is wrong.
    """
    path = space_path(name_or_path)
    document = read_yaml(path)
    parse_spec(document, str(path))  # a file that is wrong is not copied
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    first = next(number for number, line in enumerate(lines) if _KEY.match(line))
    remarks, rest = lines[:first], lines[first:]
    name = own_name(file)
    written: list[str] = []
    said: set[str] = set()
    for line in rest:
        match = _KEY.match(line)
        if match and match["key"] == "name" and not match["indent"] and not line.startswith("- "):
            line = dump_yaml({"name": name}).strip()
        elif match and match["key"] in _COMMENTS and match["key"] not in said:
            said.add(match["key"])
            written.append(f"{match['indent']}# {_COMMENTS[match['key']]}")
        written.append(line)
    about = _ABOUT.format(source=name_or_path, file=file).splitlines()
    return "\n".join([*about, *(["#", *remarks] if remarks else []), *written]) + "\n"


def own_name(file: Path) -> str:
    """The name of a space in a file of the user's: the file's, which must not be one of the catalog's.

    >>> own_name(Path("spaces/mine.yaml")), own_name(Path("tiny_edge.yaml"))
    ('mine', 'my_tiny_edge')
    """
    return f"my_{file.stem}" if file.stem in space_names() else file.stem
