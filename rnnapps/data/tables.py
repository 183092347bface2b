"""The reader of tables for all applications: strict about meaning, lenient about format."""

import dataclasses
import io
import json
import pathlib
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from rnnapps.config import TableOptions
from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.data.separators import NAMES, check_header, find_separator, name_of, read_separated
from rnnapps.errors import DataError, flag, nearest
from rnnapps.progress import TrackedBytes, so_far

_USUAL = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|", ".txt": "\t", ".dat": "\t", "": ","}
_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".json", ".jsonl", ".parquet")


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of a user's table.

    Args:
        frame: The rows; values are strings, except in Parquet, JSON and Excel.
        where: What errors call the table.
        notes: How it was read, where that is not as its name says.
        separator: What stood between columns; `None` where nothing did.
    """

    frame: pd.DataFrame
    where: str = "the table"
    notes: tuple[str, ...] = ()
    separator: str | None = None

    def require(self, option: str, column: str) -> None:
        """Refuses a table that lacks a column.

        Args:
            option: The setting that names the column, such as `text_column`.
            column: Its name.

        Raises:
            DataError: If there is no such column.
        """
        require_column(self.frame.columns, self.where, option, column)


def require_column(columns: Iterable[Any], where: str, option: str, column: str) -> None:
    """Refuses a table that lacks a column.

    Args:
        columns: The names of those that it has.
        where: What errors call the table.
        option: The setting that names the column, such as `text_column`.
        column: Its name.

    Raises:
        DataError: If there is no such column.
    """
    names = [str(name) or "(no name)" for name in columns]
    if column not in names:
        raise DataError(
            f"{where} has no column {column!r} ({flag(option)}); its columns are "
            f"{', '.join(names)}.{nearest(column, names)}"
        )


def from_frame(frame: pd.DataFrame, where: str = "the table") -> Table:
    """Takes a DataFrame, whose index becomes a column where it is more than the rows' numbers.

    Args:
        frame: The rows.
        where: What errors call the table.

    Returns:
        The table.
    """
    index = frame.index
    if isinstance(index, pd.PeriodIndex):
        frame = frame.set_axis(index.to_timestamp())
    times = isinstance(frame.index, pd.DatetimeIndex)
    if times or index.names != [None] or not pd.api.types.is_integer_dtype(index):
        names = index.names if index.names != [None] else ["time"]
        frame = frame.reset_index(names=names)
    return Table(frame, where)


def read_table(
    path: pathlib.Path | str,
    options: TableOptions | None = None,
    wanted: Sequence[str] = (),
    header: bool = True,
) -> Table:
    """Reads a table.

    Args:
        path: A file of separated values (`.csv`, `.tsv`, `.txt` with a header), `.xlsx`, `.json`,
            `.jsonl` or `.parquet`; also gzipped, or alone in a `.zip`.
        options: How it is written.
        wanted: Names of columns that are looked for, which decide between two readings.
        header: Whether separated values, or a sheet, have a header; without it, columns are named
            by number.

    Returns:
        The table.

    Raises:
        DataError: If the file is missing, empty, cannot be decoded, or is no table.
    """
    options, where = options or TableOptions(), str(path)
    content, kind = read_contents(path)
    if kind not in _USUAL and kind not in _TABLES and kind not in (".ndjson",):
        raise DataError(
            f"Expected {where} to be a folder, or to end in {', '.join(_TABLES)}, also with .gz or "
            ".zip."
        )
    if not content.strip():
        raise DataError(f"{where} is empty.")
    if content[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise DataError(f"{where} is a web page; download the table itself.")
    if kind == ".parquet":
        table = from_frame(_parquet(content, where), where)
    elif kind == ".xlsx":
        table = _excel(content, wanted, where, header)
    else:
        text, encoding = decode(content, where, options.encoding)
        notes = () if encoding == "utf-8" else (f"encoding {encoding}",)
        if kind in (".json", ".jsonl", ".ndjson"):
            table = Table(_frame(_records(text, where), where), where, notes)
        else:
            table = _separated(text, kind, options, wanted, where, header)
            table = dataclasses.replace(table, notes=notes + table.notes)
    names = [str(name) for name in table.frame.columns]
    refuse_twice(names, where)
    if table.frame.empty:
        raise DataError(f"{where} holds no rows.")
    return table


def refuse_twice(names: Sequence[str], where: str) -> None:
    """Refuses two columns of one name.

    Args:
        names: The columns' names.
        where: What errors call the table.

    Raises:
        DataError: If a name comes twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        called = f"named {twice[-1]!r}" if twice[-1] else "without a name"
        raise DataError(f"{where} has two columns {called}; give each its own name.")


def _separated(
    text: str,
    kind: str,
    options: TableOptions,
    wanted: Sequence[str],
    where: str,
    header: bool,
) -> Table:
    separator, usual = options.separator, _USUAL[kind]
    first, _, rest = text.partition("\n")
    if first.strip()[:4].lower() == "sep=" and len(first.strip()) == 5:  # Excel's own line
        separator, text = separator or first.strip()[4], rest
    separator = separator or find_separator(text, usual, wanted, where)
    shown = (f"separator {NAMES.get(separator, separator)}",) if separator != usual else ()
    frame = read_separated(text, separator, where, header)
    hollow = [not name and frame.iloc[:, i].isna().all() for i, name in enumerate(frame.columns)]
    frame = frame.loc[:, [not one for one in hollow]]  # a separator at the end of each line
    return Table(frame, where, shown, separator)


def _parquet(content: bytes, where: str) -> pd.DataFrame:
    import pyarrow.parquet  # takes 0.2 s, and only Parquet needs it

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
        batches, done = [], 0
        for batch in file.iter_batches():
            batches.append(batch)
            done += batch.num_rows
            so_far(done, file.metadata.num_rows, "rows")
        table = pyarrow.Table.from_batches(batches, file.schema_arrow)
        return table.to_pandas(integer_object_nulls=True)
    except (ValueError, OSError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{where} is not a readable parquet file: {said}.") from None


def _excel(content: bytes, wanted: Sequence[str], where: str, header: bool) -> Table:
    """The only sheet with rows, or the only one that has the columns."""
    try:
        sheets = pd.read_excel(
            TrackedBytes(content), sheet_name=None, header=None, dtype=object,
            keep_default_na=False, na_values=[""], engine="openpyxl",
        )  # fmt: skip
    except ImportError:
        raise DataError(
            f"Reading {where} needs openpyxl: pip install 'rnnapps[excel]', or save it as .csv."
        ) from None
    except (ValueError, KeyError, OSError, SyntaxError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{where} is not a readable Excel file: {said}.") from None
    above: list[str] = []
    full = {
        name: _untitled(sheet, above)
        for name, sheet in sheets.items()
        if sheet.notna().any(axis=None)
    }
    if len(full) > 1 and wanted:
        full = {n: f for n, f in full.items() if set(wanted) <= {*_first(f)}} or full
    if len(full) > 1:
        raise DataError(
            f"{where} holds {len(full)} sheets ({', '.join(full)}); save the one you mean as a "
            "file of its own."
        )
    notes = tuple(f"sheet {name}" for name in full if len(sheets) > 1)
    notes += tuple(f"its title {title!r} left out" for title in above if len(sheets) == 1)
    frame = next(iter(full.values()), pd.DataFrame())
    if header and len(frame):
        names = _first(frame)
        check_header(names, where)
        frame = frame.iloc[1:].set_axis(names, axis=1)
    else:
        frame = frame.set_axis([str(i + 1) for i in range(frame.shape[1])], axis=1)
    return Table(frame.reset_index(drop=True), where, notes)


def _first(sheet: pd.DataFrame) -> list[str]:
    """The first row of a sheet, as names."""
    return ["" if pd.isna(name) else name_of(str(name)) for name in sheet.iloc[0]]


def _untitled(sheet: pd.DataFrame, above: list[str]) -> pd.DataFrame:
    """A sheet's rows under the first with more than a title, which is said in `above`."""
    sheet = sheet.dropna(how="all").dropna(how="all", axis=1)
    while len(sheet) > 1 and sheet.iloc[0].count() == 1 < sheet.iloc[1].count():
        above.append(str(sheet.iloc[0].dropna().iloc[0]))
        sheet = sheet.iloc[1:].dropna(how="all", axis=1)
    return sheet


def _frame(rows: list[dict[str, Any]] | dict[str, list], where: str) -> pd.DataFrame:
    try:
        frame = pd.DataFrame(rows)
    except UnicodeEncodeError as error:
        half = error.object[error.start].encode("unicode_escape").decode()
        raise DataError(f"{where} holds half a character ({half}); write it whole.") from None
    for name in frame.select_dtypes(float):
        cells = [row.get(name) for row in rows] if isinstance(rows, list) else rows[name]
        if all(isinstance(cell, int | None) for cell in cells):  # no fractions, of which some lack
            frame[name] = pd.Series(cells, dtype=object)
    return frame


def _records(text: str, where: str) -> list[dict[str, Any]] | dict[str, list]:
    """The rows of a JSON array, of an object of columns, or of an object a line."""
    try:
        whole = json.loads(text)
    except RecursionError:
        raise DataError(f"{where} is nested too deeply to be a table.") from None
    except json.JSONDecodeError as error:
        if text.lstrip().startswith("["):
            raise DataError(f"{where}, line {error.lineno}: not JSON ({error.msg}).") from None
        # No other line ends than a text file's, as its strings may hold them.
        lines = enumerate(io.StringIO(text, newline=None), 1)
        return [json_object(line, f"{where}, line {i}") for i, line in lines if line.strip()]
    if isinstance(whole, dict):
        values = list(whole.values())
        if len(values) == 1 and isinstance(values[0], list):  # such as {"data": [...]}
            whole = values[0]
        elif _are_columns(values):
            return whole
        elif len(values) > 1 and all(isinstance(one, list) for one in values):
            lengths = ", ".join(f"{name} {len(one)}" for name, one in whole.items())
            raise DataError(f"{where}: expected columns of one length. Received: {lengths:.80}.")
        else:
            whole = [whole]
    if not isinstance(whole, list) or not all(isinstance(row, dict) for row in whole):
        raise DataError(f"{where}: expected a JSON array of objects. Received: {text[:40]!r}.")
    return whole


def _are_columns(values: list) -> bool:
    """Whether these are lists, or rows by number, of one length: pandas' own forms of JSON."""
    return all(isinstance(one, list | dict) for one in values) and len(set(map(len, values))) == 1


def json_object(line: str, where: str) -> dict[str, Any]:
    """Reads a row that is a JSON object.

    Args:
        line: The object's text.
        where: What errors call the line.

    Returns:
        The row's values by column.

    Raises:
        DataError: If it is not JSON, or not an object.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}).") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object. Received: {line[:40]!r}.")
    return row
