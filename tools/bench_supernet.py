"""How well a supernet ranks, what it costs, and how its controller does.

    python tools/bench_supernet.py tables --table T.csv --architecture arch --accuracy acc --cost macs --json OUT.json
    python tools/bench_supernet.py truth --data-dir DIR --cache truth.json
    python tools/bench_supernet.py rank --data-dir DIR --cache truth.json --json rank.json
    python tools/bench_supernet.py cost --data-dir DIR --json cost.json
    python tools/bench_supernet.py target --data-dir DIR --json target.json

``tables``: the controller alone, with qualities from a table, for each reward. The *result* is the best architecture
within the budget among those sampled; the most probable one is judged too. ``different_samples`` says how much of the
table was looked at. The target is the budget, a share of the largest cost.

``truth``: random architectures of a space, half of them within 20 % of one number of multiply-accumulates, are trained
alone, and shortly as a search would. Each result is kept at once: run again, it goes on.

``rank``: a supernet is trained, scores the same architectures, and Kendall's tau with the truth stands beside that of
multiply-accumulates, parameters, depth and short trainings, with the cost of a ranked candidate.

``cost``: processor time of a step and peak memory, beside those of the space's largest network trained alone.

``target``: supernet and controller are trained together towards a cost in the middle of the space; how far the most
probable architecture ends from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from supernet_bench.claims import claim_line
from supernet_bench.cost import add_cost_options, run_cost
from supernet_bench.ground import add_ground_options
from supernet_bench.ranking import add_rank_options, run_rank
from supernet_bench.tables import add_table_options, run_tables
from supernet_bench.target import add_target_options, run_target
from supernet_bench.truth import add_truth_options, run_truth

from edgenas.export.files import write_atomically
from edgenas.spaces.errors import InputError, WorkError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        result = options.run(options)
    except (InputError, WorkError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    if result is not None:
        write_atomically(Path(options.json), json.dumps(result, indent=2) + "\n")
        for found in result["claims"]:
            print(claim_line(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True, metavar="PART")
    for name, run, adders in (
        ("tables", run_tables, (add_table_options,)),
        ("truth", run_truth, (add_ground_options, add_truth_options)),
        ("rank", run_rank, (add_ground_options, add_truth_options, add_rank_options)),
        ("cost", run_cost, (add_ground_options, add_cost_options)),
        ("target", run_target, (add_ground_options, add_target_options)),
    ):
        part = parts.add_parser(name)
        for add in adders:
            add(part)
        if name != "truth":
            part.add_argument("--json", required=True, metavar="OUT", help="where the figures go")
        part.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
