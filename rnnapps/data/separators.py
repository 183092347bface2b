"""Rows of separated values: which separator it is, and what stands where."""

import csv
import io
import itertools
import re
import warnings
from collections.abc import Sequence

import pandas as pd

from rnnapps.errors import DataError
from rnnapps.progress import TrackedText

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}
_SOUGHT = ",;\t|"
_SAMPLE = 1 << 20  # characters of whole lines from which the separator is found
csv.field_size_limit(1 << 30)  # characters of a text; the module's own limit is 128 Ki
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
        header, *rows = _rows(sample, separator, 100) or [[]]
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
    first = _rows(text, separator, 1)
    if not first:
        raise DataError(f"{where} is empty.")
    names = [name.strip() for name in first[0]]
    if header:
        check_header(names, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                TrackedText(text),
                sep=separator,
                header=None,
                names=range(len(names)),
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                index_col=False,  # rows with a field too many are a mistake, not an index
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
        raise DataError(_unreadable(text, separator, where, error)) from None
    if not header:
        return frame.rename(columns=lambda place: str(place + 1))
    return frame.iloc[1:].reset_index(drop=True).set_axis(names, axis=1)


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


def _rows(text: str, separator: str, count: int) -> list[list[str]]:
    """The first rows that are not empty."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return list(itertools.islice((row for row in rows if any(row)), count))


def _unreadable(text: str, separator: str, where: str, error: Exception) -> str:
    """Says which line is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    width, began = 0, 1
    try:
        for row in reader:
            width = width or len(row)
            if len(row) > width:
                return (
                    f"{where}, line {began}: {len(row)} fields where the first line has {width}; "
                    f"put quotation marks around a text that holds a "
                    f"{NAMES.get(separator, separator)}, or name another --separator."
                )
            began = reader.line_num + 1
    except csv.Error:
        return f"{where}, line {began}: a quotation mark is opened and never closed."
    return f"{where} is not a readable table: {' '.join(str(error).split()).rstrip('.')}."
