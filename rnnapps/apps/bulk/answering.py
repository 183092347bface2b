"""What a process needs to predict for parts of a table, and how it does. Starts no TensorFlow.

A run and an export answer alike: both are a function from texts to a row of columns for each.
"""

import dataclasses
import hashlib
import importlib
import json
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from rnnapps.apps.bulk.parts import Answered, Part
from rnnapps.apps.run import read_run
from rnnapps.config import TableOptions
from rnnapps.data.row_writer import RowWriter
from rnnapps.data.rows import Row
from rnnapps.errors import RunError
from rnnapps.files import checksum, read_json
from rnnapps.spans import tokens_answered, written_in

_EXPORT_BATCH = 64  # texts that an export answers at a time
_RUN = ("config.toml", "model.keras")  # what a run's answers depend on

Ask = Callable[[Sequence[str], int], list[Row]]


@dataclasses.dataclass(frozen=True)
class Model:
    """A run or an export, and what it is asked beside the texts.

    Args:
        folder: The run directory, or the folder of an export's version.
        settings: What the application's `predict` takes beside the texts; an export takes nothing.
    """

    folder: pathlib.Path
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def exported(self) -> bool:
        """Whether it is an export."""
        return (self.folder / "saved_model.pb").is_file()

    def checksum(self) -> str:
        """The SHA-256 of what its answers depend on."""
        files = [self.folder / name for name in _RUN]
        if self.exported:
            files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        said = [f"{path.relative_to(self.folder)} {checksum(path)}" for path in files]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def reading(self) -> tuple[str | None, TableOptions]:
        """From which column it learned, and how the tables were written that it learned from."""
        if self.exported:
            card = self.folder / "model_card.json"
            settings = read_json(card)["configuration"] if card.exists() else {}
        else:
            settings = read_run(self.folder)
        how = {name: settings[name] for name in TableOptions.model_fields if name in settings}
        return settings.get("text_column") or settings.get("source_column"), TableOptions(**how)

    def load(self) -> Ask:
        """Loads it.

        Returns:
            A function from texts, and the number of the first, to a row of columns for each.

        Raises:
            RunError: If it is damaged, or does not take one text a row.
        """
        return _export(self.folder) if self.exported else _run(self.folder, self.settings)


@dataclasses.dataclass(frozen=True)
class Answering:
    """How parts are answered. It can be sent to another process.

    Args:
        model: What answers.
        column: The column in which the texts are.
        names: The table's columns; of JSON objects those of all together.
        writer: How the answers are written.
        every_header: Whether each part has a header, and not the first alone.
        prepare: What a process does before it imports TensorFlow.
    """

    model: Model
    column: str
    names: Sequence[str]
    writer: RowWriter
    every_header: bool = False
    prepare: Callable[[], Any] | None = None

    def start(self) -> Callable[[Part], Answered]:
        """Loads the model.

        Returns:
            A function that answers for a part.
        """
        if self.prepare:
            self.prepare()
        ask = self.model.load()
        return lambda part: self._answer(part, ask)

    def _answer(self, part: Part, ask: Ask) -> Answered:
        texts = ["" if row.get(self.column) is None else str(row[self.column]) for row in part.rows]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answers = ask(texts, part.first)
        notes = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
        columns = {name: _free(name, self.names) for name in answers[0]}
        names = [*self.names, *columns.values()]
        rows = [
            {**row, **{columns[name]: value for name, value in answer.items()}}
            for row, answer in zip(part.rows, answers, strict=True)
        ]
        notes += [
            f"the table has a column {name}; the prediction is in {column}"
            for name, column in columns.items()
            if name != column
        ]
        header = self.every_header or not part.number
        return Answered(part.number, len(rows), self.writer.part(rows, names, header), tuple(notes))


def _run(folder: pathlib.Path, settings: dict[str, Any]) -> Ask:
    from rnnapps.apps.application import load  # imports TensorFlow

    app = load(folder)

    def ask(texts: Sequence[str], first: int) -> list[Row]:
        moved = {"seed": settings["seed"] + first} if "seed" in settings else {}
        answers = app.predict(texts, **{**settings, **moved})
        return [_columns(one if isinstance(one, dict) else {"answer": one}) for one in answers]

    return ask


def _export(version: pathlib.Path) -> Ask:
    import tensorflow as tf

    from rnnapps.serving.export.saved_model import load

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
    names = version / "assets" / "tags.txt"  # a tagger's
    spans = names.is_file() and bool(written_in(names.read_text("utf-8").splitlines()))

    def ask(texts: Sequence[str], first: int, model: Any = model) -> list[Row]:  # keeps it alive
        rows = [text.encode("utf-8", "replace") for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        answers: list[Row] = [{}] * len(rows)
        for start in range(0, len(order), _EXPORT_BATCH):
            places = order[start : start + _EXPORT_BATCH]
            found = signature(**{name: tf.constant([rows[i] for i in places])})
            columns = {key: value.numpy().tolist() for key, value in sorted(found.items())}
            for row, place in enumerate(places):
                answers[place] = _columns({k: value[row] for k, value in columns.items()}, spans)
        return answers

    return ask


def _free(name: str, taken: Sequence[str]) -> str:
    """The name of an answer's column, which takes no column of the table away."""
    free = name if name not in taken else f"predicted_{name}"
    while free in taken:
        free += "_"
    return free


def _columns(answer: dict[str, Any], spans: bool | None = None) -> Row:
    """What of an answer is a column: texts and numbers; tags as one text, spans as JSON."""
    if "tags" in answer:
        return _tagged(answer, spans)
    decoded = {k: v.decode("utf-8", "replace") if isinstance(v, bytes) else v
               for k, v in answer.items()}  # fmt: skip
    return {name: value for name, value in decoded.items() if isinstance(value, str | float | int)}


def _tagged(answer: dict[str, Any], spans: bool | None) -> Row:
    """A sentence's tokens and tags, with spaces between, and its spans where the tags write any."""
    answer = tokens_answered(answer, spans)
    row = {name: " ".join(answer[name]) for name in ("tokens", "tags")}
    if "spans" in answer:
        row["spans"] = json.dumps(answer["spans"], ensure_ascii=False)
    return row
