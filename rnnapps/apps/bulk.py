"""Answers for a whole table: the same rows in their order, with the answers' columns added.

A run and an export answer alike: both are a function from texts to a row of columns for each.
"""

import dataclasses
import importlib
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from rnnapps.apps.application import Application
from rnnapps.config import TableOptions
from rnnapps.data.rows import Row, open_rows, writing_rows
from rnnapps.errors import DataError, RunError, nearest
from rnnapps.progress import counting
from rnnapps.serving.export.saved_model import load

_EXPORT_BATCH = 64  # texts that an export answers at a time


@dataclasses.dataclass(frozen=True)
class Answerer:
    """What answers for texts.

    Args:
        ask: A function from texts, and the number of the first, to a row of columns for each.
        column: The table's column in which the texts are; `None` for the only one, or `text`.
        options: How the tables are written on which the model was trained.
    """

    ask: Callable[[Sequence[str], int], list[Row]]
    column: str | None = None
    options: TableOptions = dataclasses.field(default_factory=TableOptions)


def answerer_of_run(app: Application, settings: dict[str, Any]) -> Answerer:
    """Takes a run for what answers.

    Args:
        app: The application.
        settings: What its `predict` takes beside the texts.
    """

    def ask(texts: Sequence[str], first: int) -> list[Row]:
        moved = {"seed": settings["seed"] + first} if "seed" in settings else {}
        answers = app.predict(texts, **{**settings, **moved})
        return [_columns(one if isinstance(one, dict) else {"answer": one}) for one in answers]

    return Answerer(ask, *_reading(app.config.to_dict()))


def answerer_of_export(version: pathlib.Path) -> Answerer:
    """Takes an export for what answers, by its signature `serving_default`.

    Args:
        version: The version's folder.

    Raises:
        RunError: If it does not take one text a row.
    """
    importlib.import_module("tensorflow_text")  # registers the ops of subwords
    model = load(version)
    signature = model.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    if [spec.dtype for spec in inputs.values()] != [tf.string]:
        raise RunError(
            f"{version} does not take one text a row but {', '.join(inputs)}; ask it with rnnapps "
            "predict --server, or use its run."
        )
    (name,) = inputs
    model_card = version / "model_card.json"
    settings = {}
    if model_card.exists():
        settings = json.loads(model_card.read_text("utf-8"))["configuration"]

    def ask(texts: Sequence[str], first: int, model: Any = model) -> list[Row]:  # keeps it alive
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        answers: list[Row] = [{}] * len(texts)
        for start in range(0, len(order), _EXPORT_BATCH):
            places = order[start : start + _EXPORT_BATCH]
            found = signature(**{name: tf.constant([texts[i] for i in places])})
            columns = {key: value.numpy().tolist() for key, value in sorted(found.items())}
            for row, place in enumerate(places):
                answers[place] = _columns({key: value[row] for key, value in columns.items()})
        return answers

    return Answerer(ask, *_reading(settings))


def answer_table(
    answerer: Answerer,
    source: pathlib.Path,
    output: pathlib.Path | None = None,
    form: str | None = None,
    column: str | None = None,
) -> int:
    """Answers for the rows of a table, or the lines of a text file, in bounded memory.

    Args:
        answerer: What answers.
        source: The file.
        output: The file to write, which appears whole or not at all; `None` for standard output.
        form: `"csv"`, `"tsv"`, `"jsonl"` or `"parquet"`; `None` for the output's, or the source's.
        column: The column in which the texts are; by default the one that was trained on.

    Returns:
        The number of rows.

    Raises:
        DataError: If the file cannot be read or has no such column.
        ConfigError: If the format cannot be written.
    """
    done = 0
    with open_rows(source, answerer.options) as rows, counting("answering", "rows") as show:
        column = _column_of(rows.names, column, answerer.column, str(source))
        with writing_rows(output, rows, form) as write:
            for chunk, share in rows.chunks:
                texts = ["" if row.get(column) is None else str(row[column]) for row in chunk]
                answers = answerer.ask(texts, done)
                if not done:
                    names = {name: _free(name, rows.names) for name in answers[0]}
                write(
                    [
                        {**row, **{names[name]: value for name, value in answer.items()}}
                        for row, answer in zip(chunk, answers, strict=True)
                    ]
                )
                done += len(chunk)
                show(done, share)
    return done


def _column_of(names: Sequence[str], asked: str | None, usual: str | None, where: str) -> str:
    """The column in which the texts are."""
    candidates = [asked] if asked else [usual, "text", *(names if len(names) == 1 else ())]
    for name in candidates:
        if name in names:
            return name
    wanted = candidates[0] or "text"
    raise DataError(
        f"{where} has no column {wanted!r} (--column); its columns are {', '.join(names)}."
        f"{nearest(wanted, names)}"
    )


def _free(name: str, taken: Sequence[str]) -> str:
    """The name of an answer's column, which takes no column of the table away."""
    if name not in taken:
        return name
    free = f"predicted_{name}"
    while free in taken:
        free += "_"
    print(f"rnnapps: the table has a column {name}; the answer's is {free}.", file=sys.stderr)
    return free


def _reading(settings: dict[str, Any]) -> tuple[str | None, TableOptions]:
    """From which column the texts were taken, and how the tables were written."""
    how = {name: settings[name] for name in TableOptions.model_fields if name in settings}
    return settings.get("text_column") or settings.get("source_column"), TableOptions(**how)


def _columns(answer: dict[str, Any]) -> Row:
    """What of an answer is a column: texts and numbers, not lists."""
    decoded = {k: v.decode("utf-8", "replace") if isinstance(v, bytes) else v
               for k, v in answer.items()}  # fmt: skip
    return {name: value for name, value in decoded.items() if isinstance(value, str | float | int)}
