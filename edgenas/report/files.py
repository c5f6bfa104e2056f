"""Links from the report to the files of its run, relative, so that they work wherever the folder is moved."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from edgenas.report.data import ReportData, Rows
from edgenas.report.text import escape
from edgenas.run.folder import RunFolder

#: What a reader may want, most wanted first: what it is, and where in a run folder it lies.
_FILES = (
    ("model", "bundle/model.tflite"),
    ("model card", "bundle/README.md"),
    ("architecture", "bundle/architecture.yaml"),
    ("labels", "bundle/labels.txt"),
    ("metrics", "bundle/metrics.json"),
    ("C header", "bundle/model.h"),
    ("program that runs it", "bundle/run.py"),
    ("the front's bundles", "front/index.html"),
    ("trials as a table", "pareto.csv"),
    ("recipe", "recipe.yaml"),
    ("latency table", "table.csv"),
    ("log", "log.jsonl"),
)
#: Where exports of single trials, and of a whole front, put bundles by default.
_BUNDLE_FOLDERS = ("bundles", "front")
#: Written together with the report.
_WITH_REPORT = ("pareto.csv",)


def run_files(folder: RunFolder) -> Rows:
    """Those of the run's files that there are."""
    known = {path for _, path in _FILES}
    models = sorted(path.name for path in folder.bundle_path.glob("model-*.tflite"))
    found = [(what, path) for what, path in _FILES if path in _WITH_REPORT or (folder.path / path).is_file()]
    return (*found, *((name, f"bundle/{name}") for name in models if f"bundle/{name}" not in known))


def run_bundles(folder: RunFolder, shipped: int | None) -> Mapping[int, str]:
    """Folders of the bundles in the run folder, by trial; ``shipped`` is the trial of the run's own."""
    found: dict[int, str] = {}
    if shipped is not None and (folder.bundle_path / "metrics.json").is_file():
        found[shipped] = folder.bundle_path.name
    for place in _BUNDLE_FOLDERS:
        for path in sorted((folder.path / place).glob("trial-*")):
            number = path.name.removeprefix("trial-")
            if number.isascii() and number.isdecimal() and (path / "metrics.json").is_file():
                found.setdefault(int(number), f"{place}/{path.name}")
    return found


def link(path: str, words: str) -> str:
    """A link to a file of the run folder."""
    return f'<a href="{escape(quote(path))}">{escape(words)}</a>'


def files_html(data: ReportData) -> str:
    """One line of links."""
    links = "".join(f"<li>{link(path, what)}</li>" for what, path in data.files)
    return f'<nav class="files" aria-label="Files of this run"><ul>{links}</ul></nav>' if links else ""
