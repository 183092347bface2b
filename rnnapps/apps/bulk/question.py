"""What to predict for: files, whose rows are all read once before a model is loaded."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from rnnapps.apps.bulk.answering import Answering, Model
from rnnapps.apps.bulk.parts import Cut
from rnnapps.data.row_writer import row_writer, types_of
from rnnapps.data.rows import Rows, open_rows
from rnnapps.errors import DataError, nearest
from rnnapps.progress import counting

PART_ROWS = 1024
SOON = 256  # rows of a part that somebody waits for


@dataclasses.dataclass(frozen=True)
class Question:
    """Files with rows to answer for, and what answers.

    Args:
        model: The run or export.
        sources: The files: tables, or a text a line; all of the same columns.
        column: The column of the texts; `None` for the one that the model learned from.
        form: How answers are written, one of `row_writer.FORMATS`; `None` for the format of the
            output's name, or the files'.
        part_rows: Rows of a part.
        prepare: What a process does before it imports TensorFlow.
    """

    model: Model
    sources: Sequence[pathlib.Path]
    column: str | None = None
    form: str | None = None
    part_rows: int = PART_ROWS
    prepare: Callable[[], Any] | None = None

    def read(self, output: pathlib.Path | None, folder: bool = False) -> tuple[Answering, "Cut"]:
        """Reads all rows once: a mistake in the last is found before hours of work.

        Args:
            output: The file or folder to write to; `None` for standard output.
            folder: Whether it is a folder.

        Returns:
            How parts are answered, and the parts.

        Raises:
            DataError: If a file cannot be read, has no such column, or not the first one's columns.
            ConfigError: If the format cannot be written.
        """
        usual, options = self.model.reading()
        sizes: list[int] = []
        names: dict[str, None] = {}
        with counting("reading", "rows") as show:
            for i, source in enumerate(self.sources):
                with open_rows(source, options) as rows:
                    if not i:
                        head = rows
                        column = _column_of(rows.names, self.column, usual, str(source))
                        writer = row_writer(rows, output, self.form)
                    _check_alike(source, rows, self.sources[0], head)
                    names.update(dict.fromkeys(rows.names))
                    sizes.append(0)
                    for chunk, share in rows.chunks:
                        sizes[-1] += len(chunk)
                        show(sum(sizes), (i + share) / len(self.sources))
                        if rows.format == "jsonl":
                            names.update(dict.fromkeys(name for row in chunk for name in row))
                            if writer.format == "parquet":
                                schema = types_of(chunk, list(names), writer.schema)
                                writer = dataclasses.replace(writer, schema=schema)
        answering = Answering(self.model, column, list(names), writer, folder, self.prepare)
        return answering, Cut(self.sources, tuple(sizes), options, self.part_rows)


def _check_alike(source: pathlib.Path, rows: Rows, first: pathlib.Path, head: Rows) -> None:
    alike = rows.format == "jsonl" or (rows.names, rows.schema) == (head.names, head.schema)
    if rows.format != head.format or not alike:
        raise DataError(
            f"Expected all files to have the columns and the format of {first} ({head.format}: "
            f"{', '.join(head.names)}). Received: {source} ({rows.format}: "
            f"{', '.join(rows.names)})."
        )


def _column_of(names: Sequence[str], asked: str | None, usual: str | None, where: str) -> str:
    """The column in which the texts are."""
    usual = usual or "text"
    candidates = [asked] if asked else [usual, "text", *(names if len(names) == 1 else ())]
    for name in candidates:
        if name in names:
            return name
    wanted = candidates[0]
    raise DataError(
        f"{where} has no column {wanted!r} (--column); its columns are {', '.join(names)}."
        f"{nearest(wanted, names)}"
    )
