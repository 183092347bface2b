"""Writes rows in the table's own format or another, in parts that are joined later."""

import csv
import dataclasses
import gzip
import io
import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from rnnapps.data.rows import Row, Rows, kind_of
from rnnapps.errors import ConfigError, DataError

FORMATS = ("csv", "tsv", "jsonl", "parquet")
_AT_ONCE = 64  # parts of Parquet that become one group of rows


@dataclasses.dataclass(frozen=True)
class RowWriter:
    """How the rows of a table are written.

    Args:
        format: One of `FORMATS`.
        separator: What stands between columns, where something does.
        schema: The types of the table's own columns, for Parquet.
    """

    format: str
    separator: str = ","
    schema: Any = None

    def part(self, rows: Sequence[Row], names: Sequence[str], header: bool = True) -> bytes:
        """Some rows as the bytes of a file.

        Args:
            rows: The rows, which have these columns; in JSON each has its own.
            names: The columns.
            header: Whether the columns' names come first, where the format has such a line.

        Raises:
            DataError: If their values are not of the types of the columns, in Parquet.
        """
        if self.format == "parquet":
            return self._parquet(rows, names)
        if self.format == "jsonl":
            return b"".join(map(_json_line, rows))
        file = io.StringIO(newline="")
        tables = [
            csv.writer(file, delimiter=self.separator, lineterminator="\n", quoting=quoting)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        ]
        if header:
            tables[0].writerow(names)
        for row in rows:
            values = [_plain(row.get(name)) for name in names]
            # Before Python 3.13 a carriage return alone is not put between quotation marks.
            bare = any("\r" in value for value in values if isinstance(value, str))
            tables[bare].writerow(values)
        return file.getvalue().encode("utf-8", "replace")

    def join(self, parts: Sequence[pathlib.Path], path: pathlib.Path, packed: bool = False) -> None:
        """Writes a file of several parts, of which the first alone has a header.

        Args:
            parts: The parts' files, in their order.
            path: The file to write.
            packed: Whether to gzip it.
        """
        if self.format == "parquet":
            _join_parquet(parts, path)
            return
        with path.open("wb") as raw:
            # Without a time, so that the same rows are the same bytes.
            file: Any = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if packed else raw
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
            if packed:
                file.close()

    def _parquet(self, rows: Sequence[Row], names: Sequence[str]) -> bytes:
        import pyarrow
        import pyarrow.parquet

        known = pyarrow.schema([]) if self.schema is None else self.schema
        new = [name for name in names if name not in known.names]
        made = pyarrow.Table.from_pylist([{name: row.get(name) for name in new} for row in rows])
        file = io.BytesIO()
        try:
            table = pyarrow.Table.from_pylist(rows, pyarrow.schema([*known, *made.schema]))
        except (pyarrow.ArrowException, TypeError, UnicodeEncodeError) as error:
            raise _other_types(error) from None
        pyarrow.parquet.write_table(table, file)
        return file.getvalue()


def row_writer(rows: Rows, path: pathlib.Path | None, form: str | None) -> RowWriter:
    """Decides how answers for a table are written.

    Args:
        rows: The table.
        path: The file or folder to write to; `None` for standard output.
        form: One of `FORMATS`; `None` for that of the file's name, or the table's.

    Returns:
        What writes them; for Parquet of JSON objects `types_of` finds the schema.

    Raises:
        ConfigError: If the format is none of these, or needs a file.
    """
    named = path and kind_of(path).removeprefix(".")
    form = form or (named if named in FORMATS else None) or rows.format
    form = "tsv" if form == "txt" else form
    if form not in FORMATS:
        raise ConfigError(f"Expected --format to be {', '.join(FORMATS)}. Received: {form!r}.")
    if form != "parquet":
        separator = rows.separator if form == rows.format else {"tsv": "\t"}.get(form, ",")
        return RowWriter(form, separator)
    if path is None:
        raise ConfigError("Expected --output=FILE with --format=parquet. Received: none.")
    import pyarrow  # takes 0.2 s, and only Parquet needs it

    if rows.schema is not None:
        return RowWriter(form, schema=rows.schema)
    strings = [] if rows.format == "jsonl" else [(name, pyarrow.string()) for name in rows.names]
    return RowWriter(form, schema=pyarrow.schema(strings))


def types_of(rows: Sequence[Row], names: Sequence[str], known: Any) -> Any:
    """The types in Parquet of the values of JSON objects.

    Args:
        rows: The objects.
        names: Their columns.
        known: The schema of rows before them.

    Returns:
        The schema of all of them.

    Raises:
        DataError: If there is none.
    """
    import pyarrow

    try:
        found = pyarrow.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
        return pyarrow.unify_schemas([known, found.schema], promote_options="permissive")
    except (pyarrow.ArrowException, TypeError, UnicodeEncodeError) as error:
        raise _other_types(error) from None


def _other_types(error: Exception) -> DataError:
    return DataError(
        f"Expected values of one type in each column for --format=parquet. Received: others "
        f"({error}); --format=jsonl takes any."
    )


def _join_parquet(parts: Sequence[pathlib.Path], path: pathlib.Path) -> None:
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(parts[0])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(parts), _AT_ONCE):
            tables = map(pyarrow.parquet.read_table, parts[start : start + _AT_ONCE])
            writer.write_table(pyarrow.concat_tables(tables))


def _json_line(row: Row) -> bytes:
    try:
        return (json.dumps(row, ensure_ascii=False, default=_text) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 lacks
        return (json.dumps(row, default=_text) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    """A value that JSON has no form of; bytes are text, as they are where they are read."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
