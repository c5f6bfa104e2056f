"""What a bundle says of a model for the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.export.bundle.table_preprocessing import TablePreprocessing
from edgenas.export.bundle.words import TaskWords

_SHOWN = 40

TITLES = {
    "top1": "top-1",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss (less is better)",
    "d2_log_loss": "D² of the log loss",
    "r2": "R²",
    "d2_absolute_error": "D² of the absolute error",
    "rmse": "RMSE (less is better)",
    "mae": "MAE (less is better)",
}


def table_words(
    task: str, target: str, labels: Sequence[str], preprocessing: TablePreprocessing, data_name: str
) -> TaskWords:
    """The texts of a model that tells classes apart, or of a regression where there are no labels."""
    from edgenas.export.bundle.programs import table_program

    columns = preprocessing.columns
    listed = "\n".join(
        f"{place}. `{column.name}`: " + (f"{len(column.values)} texts" if column.values else "a number")
        for place, column in enumerate(columns[:_SHOWN])
    )
    more = f"\n\nand {len(columns) - _SHOWN} more, see `metrics.json`" if len(columns) > _SHOWN else ""
    if labels:
        title = f"{target}: one of {len(labels)} classes from {len(columns)} columns"
        answer = "one number (logit) for each class in `labels.txt`; the largest is the answer"
    else:
        title = f"{target}: a value from {len(columns)} columns"
        answer = f"`{target}`" + (" in its own unit" if preprocessing.inside else ", standardised")
    return TaskWords(
        task=task,
        title=title,
        use=f"""\
    pip install numpy ai-edge-litert
    python run.py rows.csv              # a {"class" if labels else "value"} for each row; --json for programs
    python run.py --verify              # complete, unchanged, and answering as it did when it was made?

{_taken(preprocessing, listed + more)} It gives {answer}. `run.py` does all of this.
""",
        limits=(
            f"The figures hold for rows like those of {data_name}; for rows from elsewhere, or from another time, they "
            "are\n  unknown until they are tested.",
            "It answers for every row, also where columns are far outside of what was seen in training.",
            "It was not tested how errors differ between groups of people. Do not use it where a wrong answer can "
            "hurt\n  somebody.",
        ),
        example="row",
        titles=TITLES,
        program=table_program(),
    )


def _taken(preprocessing: TablePreprocessing, columns: str) -> str:
    count = len(preprocessing.columns)
    places = (
        "Of a text it takes its place among the `values` in `metrics.json`, from 1 on, and 0 for a missing or an\n"
        "unknown one; for a missing number, what stands there as `missing`."
    )
    if preprocessing.inside:
        return f"""\
The file takes {count} raw numbers (float32) in this order, and standardises them itself:

{columns}

{places}"""
    features = preprocessing.numeric + sum(preprocessing.categories)
    return f"""\
The file takes {features} features of these {count} columns, in this order: `(number - mean) / std`, and of a text a 1
at its place among the `values` in `metrics.json`, from 1 on, at 0 for a missing or an unknown one, and else zeros.

{columns}

For a missing number stands what `metrics.json` has as `missing`."""
