"""``edgenas describe --references``: the reference networks beside published figures."""

from __future__ import annotations

from typing import Any

from edgenas.cli.output import print_json, print_table
from edgenas.spaces.ops import format_shape

_LEGEND = """\
MACs: multiply-accumulates of convolutions and matrix products, those of attention included.
Parameters: trainable ones (weights, biases, batch-norm scales and shifts; not moving statistics).
counted: what the published figure counts, and so what the difference is taken of.
  MACs: products = as here; products and norms = as here, and two for each element of a batch norm, five of a layer
    norm (fvcore); half of operations = as here, and a half for each addition of a bias.
  parameters: trainable = as here; folded = batch norms folded into one bias per filter; weights = no batch norms;
    variables = as here, and moving statistics; memory = bytes at 8 bits instead: the folded parameters, and the input
    and output of the op with weights that needs most.
agrees: within 1 %; as printed = equal to the last digit printed there; disputed = see the note."""


def describe_references(as_json: bool) -> None:
    """Prints every reference network, how its figures agree with the published ones, and where those are from."""
    from edgenas.description import describe_references

    rows = describe_references()
    if as_json:
        print_json(rows)
        return
    figures = ("published", "diff %", "counted")
    print_table(
        ("network", "input", "MACs", *figures, "parameters", *figures, "agrees"),
        [
            (
                row["name"],
                format_shape(tuple(row["input_shape"])),
                row["macs"],
                row["published_macs"],
                row["macs_difference_pct"],
                row["macs_counted"] if row["published_macs"] else None,
                row["params"],
                row["published_params"],
                row["params_difference_pct"],
                row["counted"] if row["published_params"] else None,
                _agreement(row["agreement"]),
            )
            for row in rows
        ],
    )
    print(_LEGEND)
    for row in rows:
        disputed = f" (disputed: {', '.join(row['disputed'])})" if row["disputed"] else ""
        print(f"{row['name']}: {row['source']}{disputed}{'. ' + row['note'] if row['note'] else ''}")


def _agreement(found: dict[str, Any]) -> str:
    """One word where MACs and parameters agree alike, else both.

    >>> _agreement({"macs": "disputed", "params": "within 1 %"})
    'MACs disputed, parameters within 1 %'
    """
    macs, params = found["macs"], found["params"]
    return str(macs) if macs == params else f"MACs {macs}, parameters {params}"
