"""The other side of :mod:`edgenas.export.resident`: a process that answers one JSON line with another."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any


def answer_lines(
    answer: Callable[[Mapping[str, Any]], dict[str, Any]], read_words: Callable[[str], dict[str, Any]] | None = None
) -> None:
    """Answers jobs until the input ends, each with ``words``: what was printed meanwhile, also by native code.

    ``read_words`` finds more of the answer in them.
    Standard output carries the answers alone, so what is printed goes to a file.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        for line in sys.stdin:
            printed.seek(0)
            printed.truncate()
            answered = answer(json.loads(line))
            printed.seek(0)
            words = printed.read().decode("utf-8", "replace")
            answers.write(json.dumps(answered | {"words": words} | (read_words(words) if read_words else {})) + "\n")
            answers.flush()
