"""The model card: what a model is, what it was made from, how good and how fast it is, and where that is known from.

The headings follow Mitchell et al., "Model Cards for Model Reporting" (arXiv 1810.03993).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from edgenas.export.bundle.contents import BundleContents
from edgenas.export.figure import Figure, kind_of, known, statistic_of
from edgenas.spaces.tensor import format_shape

#: More classes than these are in ``labels.txt`` only.
_LISTED_CLASSES = 30


def model_card(contents: BundleContents, checksums: Mapping[str, str]) -> str:
    """The card as Markdown. ``checksums``: SHA-256 of the bundle's other files by name."""
    sections = (_title, _use, _accuracy, _cost, _data, _limits)
    return "\n".join(section(contents) for section in sections) + _files(checksums)


def _title(contents: BundleContents) -> str:
    network, words = contents.network, contents.words
    origin = f"Architecture `{contents.space}:{contents.architecture}`. " if contents.architecture else ""
    made = contents.metrics()
    return f"""# {words.title}

{_in_short(contents)}

`model.tflite` has {len(contents.model):,} bytes (`{contents.quantization}`). The network has {network.params:,} \
parameters and takes {network.macs:,} multiply-accumulates per {words.example}. {origin}Made with EdgeNAS \
{made["edgenas_version"]}, {contents.created_utc}.
"""


def _in_short(contents: BundleContents) -> str:
    """What a reader wants first: how good and how fast."""
    words, score = contents.words, contents.metrics_tflite[contents.metric]
    figure = (
        f"{words.figure(contents.metric)} {f'{100 * score:.1f} %' if contents.metric == 'top1' else f'{score:.4g}'}"
    )
    facts = [f"**{figure}** on {contents.test_examples:,} test {words.example}s of {contents.data.name}"]
    for device, statistics in contents.latency_ms.items():
        if statistics.get("median") is not None:
            kind = known(kind_of(contents.provenance.get(device)))
            facts.append(f"**{_number(statistics['median'])} ms** ({kind}, median) on {device}")
    return "; ".join(facts) + "."


def _use(contents: BundleContents) -> str:
    return f"""## Use

{contents.words.use or _general_use(contents)}"""


def _general_use(contents: BundleContents) -> str:
    metrics = contents.metrics()
    ends = "\n".join(
        f"- {kind} `{name}`: {format_shape(tuple(shape))}"
        for kind in ("input", "output")
        for name, shape in metrics[f"{kind}s"].items()
    )
    return f"""\
    pip install numpy ai-edge-litert
    python run.py --input values.npz    # an array for each input, by name; --output answers.npz, --json
    python run.py --verify              # complete, unchanged, and answering as it did when it was made?

`model.h` is the model for microcontrollers (left out above 4 MiB).

{ends}
"""


def _accuracy(contents: BundleContents) -> str:
    words, names = contents.words, [contents.metric, *(n for n in contents.metrics_float if n != contents.metric)]
    # The sampling interval of a share of examples; other figures have none that follows from their number.
    share = contents.metric == "top1"
    rows = []
    for label, metrics in (
        ("float model (Keras)", contents.metrics_float),
        (f"this file (`model.tflite`, {contents.quantization})", contents.metrics_tflite),
    ):
        figures = [f"{metrics[name]:.4f}" for name in names]
        width = [f"± {_half_width(metrics['top1'], contents.test_examples):.4f}"] if share else []
        rows.append((label, figures[0], *width, *figures[1:]))
    for label, metrics in contents.baselines.items():
        figures = [f"{metrics[name]:.4f}" for name in names]
        width = [f"± {_half_width(metrics['top1'], contents.test_examples):.4f}"] if share else []
        rows.append((f"{label} (no search)", figures[0], *width, *figures[1:]))
    titles = [words.figure(name) for name in names]
    first = titles[0][:1].upper() + titles[0][1:]
    meaning = " (the share whose likeliest class is the right one)" if share else ""
    header = ("model", titles[0], *(["95 % sampling interval"] if share else []), *titles[1:])
    return f"""## Accuracy

{first}{meaning} on the same {contents.test_examples:,} test {words.example}s of {contents.data.name}, before and \
after the conversion. The file ran in the TFLite interpreter, one {words.example} at a time.

{_table(header, rows)}
{_worst_classes(contents)}{_equality(contents)}"""


def _worst_classes(contents: BundleContents) -> str:
    if contents.class_iou:
        rows = [(label, f"{value:.4f}") for label, value in contents.class_iou.items()]
        return f"\n{_table(('class', 'IoU of this file'), rows)}\n"
    if contents.class_ap:
        told = _table(
            ("class", "AP of this file"), [(label, f"{value:.4f}") for label, value in contents.class_ap.items()]
        )
        groups = [(group, f"{value:.4f}") for group, value in contents.group_ap.items()]
        return f"\n{told}\n" + (f"\n{_table(('group', 'AP of this file'), groups)}\n" if groups else "")
    if not contents.worst_classes:
        return ""
    told = ", ".join(f"{label} {100 * share:.1f} % of {count:,}" for label, share, count in contents.worst_classes)
    return f"\nThe classes that this file tells worst: {told}.\n"


def _equality(contents: BundleContents) -> str:
    found = contents.float_equality
    if found is None:
        return ""
    same = f"gave the same class on {found.same_top1:.1%} of the {contents.words.example}s compared, and "
    return (
        "\nThe conversion itself was checked without quantization: the Keras model and its float32 file "
        + (same if contents.labels else "")
        + f"answered at most {found.max_abs_difference:.2g} apart.\n"
    )


def _half_width(share: float, count: int) -> float:
    """Half of Wilson's 95 % interval, which is also right close to 0 and 1."""
    z = 1.96
    return z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z * z / count)


def _cost(contents: BundleContents) -> str:
    rows = []
    for device, statistics in contents.latency_ms.items():
        origin = contents.provenance.get(device, {})
        energy = _energy(contents.energy_mj.get(device), origin)
        times = (_quiet(statistics), *_times(statistics))
        rows.append((device, known(kind_of(origin)), *times, energy, _origin(origin)))
    header = ("device", "kind", "quiet ms", "min ms", "median ms", "p90 ms", "energy mJ", "how")
    predictions = "\n".join(
        [
            *(_prediction(device, cost) for device, cost in contents.predicted.items()),
            *(f"Not predicted for {device}: {why}." for device, why in contents.not_predicted.items()),
        ]
    )
    return f"""## Latency and energy

One {contents.words.example} at a time, this file on the device named.

{_table(header, rows) if rows else "No device has run it."}

*quiet*: what the file takes when nothing else disturbs the device; predictions are of this. *min*, *median*, *p90*: \
of one ordinary run, with whatever disturbs it; a latency budget is held against the median. *energy*: of one \
inference, above what the idle device takes.

{predictions or "Nothing was predicted."}
{_tails(contents.post_processing)}
What was asked for: {_budget(contents.budget) or "no budget"}.
{_budget_use(contents.budget_use)}{_device_files(contents)}"""


def _tails(costs: Mapping[str, Mapping[str, Any]]) -> str:
    """What decoding and suppression by an operator of the file cost, by device."""
    return "".join(
        f"\nThe file with the operator that decodes and suppresses boxes: {_number(cost['with_ms'])} ms, without it "
        f"{_number(cost['without_ms'])} ms ({known(cost['kind'])}, median) on {device}. "
        f"{'This file has it.' if cost['in_file'] else 'This file does not have it.'}\n"
        for device, cost in costs.items()
    )


def _budget(budget: Mapping[str, Any]) -> str:
    """Limits by cost, or by device and cost, in words."""
    return "; ".join(
        f"{key} ({_budget(value)})" if isinstance(value, Mapping) else _limit(key, value)
        for key, value in budget.items()
    )


def _limit(cost: str, value: Any) -> str:
    """``latency_ms`` and 0.2 as ``latency of at most 0.2 ms``."""
    name, _, unit = cost.rpartition("_")
    written = f"{value:,g}" if isinstance(value, (int, float)) else str(value)
    unit = {"ms": "ms", "mj": "mJ", "bytes": "bytes"}.get(unit, "")
    return f"{name.replace('_', ' ')} of at most {written} {unit}" if name and unit else f"{cost} of at most {written}"


def _budget_use(uses: Mapping[str, Any]) -> str:
    """A line for each limit; with several devices they lie one level deeper."""
    entries = [one for use in uses.values() for one in ([use] if "words" in use else use.values())]
    words = dict.fromkeys(str(one["words"]) for one in entries)
    return "".join(f"\n- {one}" for one in words) + "\n" if words else ""


def _device_files(contents: BundleContents) -> str:
    if not contents.other_models:
        return ""
    rows = [(device, f"`{name}`") for device, name in contents.files.items()]
    return f"\nThe same network in the operators that each device takes:\n\n{_table(('device', 'file'), rows)}\n"


def _prediction(device: str, cost: Mapping[str, Any]) -> str:
    """A table of measurements makes a prediction, not a measurement: the sentence says both."""
    origin = cost.get("provenance") or {}
    energies = kind_of(cost.get("energy_provenance"))
    energy = "" if cost.get("energy_mj") is None else f" and {Figure(cost['energy_mj'], 'mJ', energies)}"
    statistic = f" ({statistic_of(origin)})" if statistic_of(origin) else ""
    return (
        f"Predicted for {device} before this file existed: {_number(cost.get('latency_ms'))} ms{statistic}{energy}, "
        f"the sum of its blocks in a latency table ({known(kind_of(origin))}: {_origin(origin)})."
        f"{_predicted_tail(cost)}"
    )


def _predicted_tail(cost: Mapping[str, Any]) -> str:
    """Whether a prediction knows of the operator behind the network, where the file has one."""
    if "post_processing_ms" not in cost:
        return ""
    tail_ms = cost["post_processing_ms"]
    if tail_ms is None:
        return " The operator that decodes and suppresses boxes is in this file, and not in that sum."
    return f" {_number(tail_ms)} ms of it are the operator that decodes and suppresses boxes, without any to suppress."


def _energy(energy_mj: float | None, origin: Mapping[str, Any]) -> str:
    """An energy is often known in another way than the latency beside it: the cell says how."""
    energy = origin.get("energy") or {}
    value = energy.get("energy_mj") if energy_mj is None else energy_mj
    return "" if value is None else f"{_number(value)} ({known(kind_of(energy or origin))})"


def _quiet(statistics: Mapping[str, Any]) -> str:
    quiet = statistics.get("quiet")
    return _number(quiet.get("quiet_ms")) if isinstance(quiet, Mapping) else ""


def _times(statistics: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_number(statistics.get(key)) for key in ("min", "median", "p90"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _origin(provenance: Mapping[str, Any]) -> str:
    parts = []
    if provenance.get("runtime"):
        parts.append(f"{provenance['runtime']} {provenance.get('runtime_version', '')}".strip())
    if provenance.get("cpu_model"):
        parts.append(str(provenance["cpu_model"]))
    for key in ("threads", "runs", "rounds"):
        if count := provenance.get(key):
            parts.append(f"{count} {key.removesuffix('s') if count == 1 else key}")
    for key, text in (("governor", "governor {}"), ("frequency_mhz", "{:.0f} MHz"), ("time_utc", "{}")):
        if provenance.get(key) is not None:
            parts.append(text.format(provenance[key]))
    return ", ".join(parts) or "not recorded"


def _data(contents: BundleContents) -> str:
    data, words = contents.data, contents.words
    labels = f"- classes: {', '.join(contents.labels)}\n" if 0 < len(contents.labels) <= _LISTED_CLASSES else ""
    settings = ", ".join(_setting(key, value) for key, value in contents.training.items())
    return f"""## Data and training

- data set: {data.name}{f" ({data.note})" if data.note else ""}
- source: {data.source}
- licence of the data: {data.licence}
{labels}- {words.example}s: {data.train_images:,} to train on, {contents.test_examples:,} to test on

{f"Settings of the training, by their names in an EdgeNAS recipe: {settings}." if settings else ""}
"""


def _setting(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{key} ({', '.join(_setting(name, inner) for name, inner in value.items())})"
    written = {True: "on", False: "off", None: "none"}.get(value) if isinstance(value, (bool, type(None))) else value
    return f"{key} {written}"


def _limits(contents: BundleContents) -> str:
    limits = contents.words.limits or (
        f"The figures hold for {contents.words.example}s like those of {contents.data.name}; for others they are "
        "unknown until they are measured.",
        "It was not tested how errors differ between groups of people. Do not use it where a wrong answer can hurt "
        "somebody.",
    )
    lines = "\n".join(f"- {limit}" for limit in limits)
    return f"""## Limits

{lines}
- A latency holds for the device, runtime version and number of threads named beside it.
"""


def _files(checksums: Mapping[str, str]) -> str:
    rows = [(f"`{name}`", f"`{checksum}`") for name, checksum in sorted(checksums.items())]
    return f"""
## Files

`edgenas bundle verify DIR` checks that they are complete and unchanged. `metrics.json` holds all figures above for \
programs.

{_table(("file", "SHA-256"), rows)}
"""


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
