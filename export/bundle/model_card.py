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


def model_card(contents: BundleContents, checksums: Mapping[str, str]) -> str:
    """The card as Markdown. ``checksums``: SHA-256 of the bundle's other files by name."""
    sections = (_title, _use, _accuracy, _cost, _data, _limits)
    return "\n".join(section(contents) for section in sections) + _files(checksums)


def _title(contents: BundleContents) -> str:
    network, words = contents.network, contents.words
    origin = f"Architecture `{contents.space}:{contents.architecture}`. " if contents.architecture else ""
    return f"""# {network.name}

{words.title}, `{contents.quantization}`, {len(contents.model):,} bytes.
{origin}{network.params:,} parameters, {network.macs:,} multiply-accumulates per {words.example}. Made with EdgeNAS \
{contents.metrics()["edgenas_version"]}, {contents.created_utc}.
"""


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
        width = [f"+- {_half_width(metrics['top1'], contents.test_examples):.4f}"] if share else []
        rows.append((label, figures[0], *width, *figures[1:]))
    titles = [words.figure(name) for name in names]
    first = titles[0][:1].upper() + titles[0][1:]
    header = ("model", titles[0], *(["95 % sampling interval"] if share else []), *titles[1:])
    return f"""## Accuracy

{first} of both on the same {contents.test_examples:,} test {words.example}s of {contents.data.name}; the shipped
file ran through the interpreter, one {words.example} at a time.

{_table(header, rows)}
{_equality(contents)}"""


def _equality(contents: BundleContents) -> str:
    found = contents.float_equality
    if found is None:
        return ""
    same = f"gave the same class on {found.same_top1:.1%}\nof the {contents.words.example}s compared; their "
    return (
        "\nBefore quantization, the float model and its own float32 file "
        + (same if contents.labels else "were compared: their ")
        + f"outputs differ by {found.max_abs_difference:.2g} at most.\n"
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

One {contents.words.example} at a time, this file on the device that is named.

{_table(header, rows) if rows else "No device has run it."}

quiet: when nothing else disturbs the device, which is what a prediction is for. median, p90: one normal run.

{predictions or "Not predicted."}

Budget of the search: {_budget(contents.budget) or "none"}.
{_budget_use(contents.budget_use)}{_device_files(contents)}"""


def _budget(budget: Mapping[str, Any]) -> str:
    """Limits by cost, or by device and cost."""
    return "; ".join(
        f"{key} ({_budget(value)})" if isinstance(value, Mapping) else f"{key} {value}" for key, value in budget.items()
    )


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
        f"the sum over a table of blocks, {known(kind_of(origin))}: {_origin(origin)}."
    )


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
    for key, text in (("threads", "{} thread(s)"), ("runs", "{} runs"), ("rounds", "{} round(s)")):
        if provenance.get(key):
            parts.append(text.format(provenance[key]))
    for key, text in (("governor", "governor {}"), ("frequency_mhz", "{:.0f} MHz"), ("time_utc", "{}")):
        if provenance.get(key) is not None:
            parts.append(text.format(provenance[key]))
    return ", ".join(parts) or "not recorded"


def _data(contents: BundleContents) -> str:
    data = contents.data
    settings = "\n".join(f"- {key}: {value}" for key, value in contents.training.items())
    return f"""## Data and training

- data set: {data.name}{f" ({data.note})" if data.note else ""}
- source: {data.source}
- licence of the data: {data.licence}
- training {contents.words.example}s: {data.train_images:,}; test {contents.words.example}s: {contents.test_examples:,}
{settings}
"""


def _limits(contents: BundleContents) -> str:
    limits = contents.words.limits or (
        f"The figures hold for {contents.words.example}s like those of {contents.data.name}; for others they are "
        "unknown until they are measured.",
        "Errors were not broken down by group of people. Do not use it where a wrong answer can hurt somebody.",
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

`edgenas bundle verify DIR` checks them. `metrics.json` holds all figures above for programs.

{_table(("file", "SHA-256"), rows)}
"""


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
