"""Rows of delimited text: detects the separator, and parses fields."""

import csv
import io
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from rnnapps.errors import DataError
from rnnapps.progress import TrackedText

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}
_SOUGHT = ",;\t|"
_SAMPLE = 1 << 20  # characters of whole lines from which the separator is found
csv.field_size_limit(1 << 30)  # characters of a text; the module's own limit is 128 Ki
_LOOKED = 100  # rows that say how a table is written
_INVISIBLE = (
    "\ufeff\u200b\u200e\u200f\u2060"  # marks of order and width, which pages and editors add
)
_VALUE = re.compile(r"[-+]?[\d.,:/\sTZ+-]*\d[\d.,:/\sTZ+-]*|")  # a number, a time, or nothing


def find_separator(text: str, usual: str, wanted: Sequence[str], where: str) -> str:
    """Finds what stands between the columns: what divides the header and the rows alike.

    Args:
        text: The table.
        usual: What the file's name promises; taken where a table has one column.
        wanted: Names of columns that are looked for; a header that has them decides.
        where: What errors call the table.

    Returns:
        The separator.

    Raises:
        DataError: If two fit equally well.
    """
    scores, sample = {}, text[:_SAMPLE]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    for separator in _SOUGHT:
        header, *rows = _rows(sample, separator, _LOOKED) or [[]]
        if len(header) > 1:
            alike = sum(len(row) == len(header) for row in rows) / max(1, len(rows))
            named = sum(name.strip() in wanted for name in header)
            scores[separator] = (named, alike)
    best = [separator for separator, score in scores.items() if score == max(scores.values())]
    if len(best) < 2:
        return best[0] if best else usual
    names = " or ".join(f"--separator={NAMES[separator]}" for separator in best)
    raise DataError(f"{where} can be read with more than one separator; name it: {names}.")


def read_separated(text: str, separator: str, where: str, header: bool = True) -> pd.DataFrame:
    """Reads rows of separated values; all are strings.

    Only an empty field is missing: "NA" and "null" are words that a text may hold.

    Args:
        text: The table.
        separator: What stands between columns.
        where: What errors call the table.
        header: Whether the first line names the columns, which else have their numbers for names.

    Returns:
        The rows.

    Raises:
        DataError: If a row has more fields than the header, a quotation is not closed, or there is
            no header.
    """
    first = _rows(text, separator, _LOOKED)
    if not first:
        raise DataError(f"{where} is empty.")
    names = [name_of(field) for field in first[0]]
    width = len(names)
    if header:
        check_header(names, where)

    def read(**how: Any) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                TrackedText(text),
                sep=r"\s+" if separator == " " else separator,
                skipinitialspace=separator != " " and _quotes_after_spaces(first),
                header=None,
                names=range(width),
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                index_col=False,  # rows with a field too many are a mistake, not an index
                low_memory=False,
                **how,
            )

    failures = (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error)
    try:
        try:
            frame = read()
        except failures:
            if wrong := _wrong_row(text, separator, where):
                raise DataError(wrong) from None
            frame = read(usecols=range(width))  # what rows have too many is empty
    except failures as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{where} is not a readable table: {said}.") from None
    if '"' in text:
        _check_quotes(text, separator, where)
    if not header:
        return frame.rename(columns=lambda place: str(place + 1))
    above = int(frame.head(_LOOKED).notna().any(axis=1).to_numpy().argmax())  # rows of nothing
    return frame.iloc[above + 1 :].reset_index(drop=True).set_axis(names, axis=1)


def name_of(field: str) -> str:
    """A column's name: a header's field without what is not seen around it."""
    return field.strip(_INVISIBLE + " \t\r\n\u00a0")


def check_header(names: Sequence[str], where: str) -> None:
    """Refuses a first line that holds values.

    Args:
        names: Its fields.
        where: What errors call the table.

    Raises:
        DataError: If no field can be a column's name.
    """
    if all(_VALUE.fullmatch(name) for name in names) and any(names):
        raise DataError(
            f"{where} has no header: its first line holds values ({', '.join(names)[:60]}); put a "
            "line with the columns' names before it."
        )


def rows_of(lines: Iterable[str], separator: str, head: str, where: str) -> Iterator[list[str]]:
    """The rows of a table that is too long to be read at once, but for empty lines.

    Args:
        lines: Its lines, with their ends.
        separator: What stands between columns.
        head: The first of them, which say how it is written.
        where: What errors call the table.

    Yields:
        The fields of each row, the header's first, without empty ones that it has too many.

    Raises:
        DataError: If a row has more fields than the header, or a quotation is not closed.
    """
    spaces = _quotes_after_spaces(_rows(head, separator, _LOOKED)) or separator == " "
    form: dict[str, Any] = {"delimiter": separator, "skipinitialspace": spaces}
    row_lines: list[str] = []
    reader = csv.reader(_kept(lines, row_lines), **form)
    width, line = 0, 1
    for row in reader:
        if any(map(str.strip, row)) or (width and len(row) >= min(2, width)):
            if len(row_lines) > 1 or len(row) < width:
                _check_closed(row_lines, form, where, line)
            width = width or len(row)
            if any(row[width:]):
                raise DataError(_too_many(row, width, separator, where, line))
            yield row[:width]
        row_lines.clear()
        line = reader.line_num + 1


def _kept(lines: Iterable[str], kept: list[str]) -> Iterator[str]:
    for line in lines:
        kept.append(line)
        yield line


def _check_closed(lines: Sequence[str], form: dict[str, Any], where: str, line: int) -> None:
    """Refuses a row of several lines whose quotation is not closed where it seems to be."""
    try:
        for _ in csv.reader(lines, strict=True, **form):
            pass
    except csv.Error as error:
        if len(lines) > 1 or "unexpected end" in str(error):
            raise DataError(_unclosed(where, line)) from None


def _rows(text: str, separator: str, count: int) -> list[list[str]]:
    """The first rows that are not empty."""
    rows = _reader(text, separator)
    return list(itertools.islice((row for row in rows if any(row)), count))


def _reader(text: str, separator: str, strict: bool = False) -> Any:
    aligned = separator == " "  # columns under each other, with several spaces between them
    file = io.StringIO(text, newline="")
    return csv.reader(file, delimiter=separator, skipinitialspace=aligned, strict=strict)


def _quotes_after_spaces(rows: Sequence[Sequence[str]]) -> bool:
    """Whether fields are written as in `1, "a"`, where the quotation marks are no part of them."""
    return any(field.startswith(" ") and field.lstrip()[:1] == '"' for row in rows for field in row)


def _check_quotes(text: str, separator: str, where: str) -> None:
    """Refuses a quotation mark that is not closed before another text's is opened."""
    reader, began, done = _reader(text, separator, strict=True), 1, False
    while not done:
        try:
            for _ in reader:
                began = reader.line_num + 1
            done = True
        except csv.Error:  # something stands behind a quotation's end
            if reader.line_num > began:
                raise DataError(_unclosed(where, began)) from None
            began = reader.line_num + 1


def _unclosed(where: str, line: int) -> str:
    """Says that a quotation begins in a line and does not end."""
    return (
        f"{where}, line {line}: a quotation mark is opened and never closed; within a text, write "
        "it twice."
    )


def _too_many(row: Sequence[str], width: int, separator: str, where: str, line: int) -> str:
    return (
        f"{where}, line {line}: {len(row)} fields where the first line has {width}; put quotation "
        f"marks around a text that holds a {NAMES.get(separator, separator)}, or name another "
        "--separator."
    )


def _wrong_row(text: str, separator: str, where: str) -> str | None:
    """Says which line is wrong; separators at the end of rows are not."""
    reader = _reader(text, separator, strict=True)
    first: list[str] = []
    began = 1
    try:
        for row in reader:
            first = first or row
            width = len(first)
            if width == 1 and len(row) > 1:
                return (
                    f"{where}, line {began}: {len(row)} fields where the first line has 1 "
                    f"({first[0][:40]!r}); delete what stands above the columns' names, or name "
                    "another --separator."
                )
            if any(row[width:]):
                return _too_many(row, width, separator, where, began)
            began = reader.line_num + 1
    except csv.Error:
        return _unclosed(where, began)
    return None
