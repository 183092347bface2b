"""Parses numbers: decimal and thousands marks, currency signs, dashes for missing values."""

import dataclasses
import functools
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnnapps.config import SeriesOptions
from rnnapps.errors import DataError

_MISSING = ("na", "n/a", "#n/a", "nan", "null", "none", "<na>")
_DASHES = ("-", "–", "—")
_UNITS = r"[$€£¥₹₽₩%]"  # which may stand at a number, the same in a whole column
_SPACE = "[ \u00a0\u2009\u202f]"  # ordinary, or one that does not break, or narrow
_GROUPED = r"[-+]?[1-9]\d{0,2}(?:,\d{3})+"  # 1,234 is a thousand and more, or less than two


@dataclasses.dataclass(frozen=True)
class Marks:
    """How the numbers of a table are written.

    Args:
        decimal: The decimal mark.
        thousands: What stands between thousands, if anything does.
    """

    decimal: str = "."
    thousands: str | None = None


@dataclasses.dataclass(frozen=True)
class Numbers:
    """What a column's cells are worth as numbers.

    Args:
        values: float64 `(rows,)`; NaN where there is no number.
        missing: Which cells say that there is none `(rows,)`.
        empty: Which of those say it by holding nothing `(rows,)`.
        column: The cells.
        unit: The currency or percent sign that stood at the numbers.
        notes: What was made of some of them.
    """

    values: np.ndarray
    missing: np.ndarray
    empty: np.ndarray
    column: pd.Series
    unit: str | None = None
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def text(self) -> pd.Series:
        """The cells as they stand there, which are large: made when somebody asks."""
        return _text(self.column)

    @property
    def bad(self) -> np.ndarray:
        """Which cells are neither a number nor missing `(rows,)`."""
        return np.isnan(self.values) & ~self.missing


def find_marks(
    columns: Sequence[pd.Series], options: SeriesOptions, separator: str | None, where: str
) -> Marks:
    """Finds how a table's numbers are written.

    A comma is the decimal mark where the user says so; or where columns are separated by a
    semicolon or a tab, and no value can be read otherwise.

    Args:
        columns: The columns that may hold numbers.
        options: What the user says.
        separator: What stands between columns, in a file of separated values.
        where: What errors call the table.

    Returns:
        The marks.

    Raises:
        DataError: If all values with a comma can be read in two ways.
    """
    if options.decimal or options.thousands or separator not in (";", "\t"):
        return Marks(options.decimal or ".", options.thousands)
    commas = pd.Series(dtype=str)
    for column in columns:
        if pd.api.types.is_numeric_dtype(column):
            continue
        text = _bare(_text(column))
        text = text[~_says_nothing(text)]
        if len(text) and text.str.fullmatch(r"[-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?").all():
            if text.str.contains(".", regex=False).any():
                return Marks()
            commas = pd.concat([commas, text[text.str.contains(",", regex=False)]])
    if commas.empty:
        return Marks()
    if commas.str.fullmatch(_GROUPED).all():
        raise DataError(
            f"{where} holds numbers that can be read in two ways: {commas.iloc[0]!r} is "
            f"{commas.iloc[0].replace(',', '.')} with --decimal=',' and "
            f"{commas.iloc[0].replace(',', '')} with --thousands=','."
        )
    return Marks(",")


def parse_numbers(column: pd.Series, marks: Marks, name: str) -> Numbers:
    """Reads a column of numbers.

    Args:
        column: The column, of numbers or of texts.
        marks: How they are written.
        name: Its name, for the notes.

    Returns:
        The numbers, and which cells hold none.
    """
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(float, na_value=np.nan)
        missing = np.isnan(values)
        return Numbers(values, missing, missing, column)
    text = _text(column)
    empty = (text == "").to_numpy()
    missing = _says_nothing(text).to_numpy()
    bare = _bare(text)
    if marks.thousands:
        mark = {" ": _SPACE, "'": "['’]"}.get(marks.thousands, f"[{marks.thousands}]")
        grouped = bare.str.fullmatch(rf"[-+]?\d{{1,3}}(?:{mark}\d{{3}})+(?:[{marks.decimal}]\d*)?")
        bare = bare.where(~grouped, bare.str.replace(mark, "", regex=True))
    if marks.decimal == ",":
        point = bare.str.contains(".", regex=False)
        bare = bare.str.replace(",", ".", regex=False).where(~point, "not a number")
    values = (
        pd.to_numeric(bare.where(~missing), errors="coerce").to_numpy(float, na_value=np.nan).copy()
    )
    said = text[missing & ~empty]
    notes = []
    if len(said):
        counts = [f"{word!r} in {count} rows" for word, count in said.value_counts()[:3].items()]
        notes.append(f"{', '.join(counts)} of column {name!r} count as missing values")
    units = text.str.extract(f"({_UNITS})", expand=False)
    unit = next(iter(units.value_counts().index), None)
    if unit:  # beside another, or 5 % beside 5, it would be guessed what is meant
        other = (units != unit) & (units.notna() | (unit == "%"))
        values[other & ~missing] = np.nan
    return Numbers(values, missing, empty, column, unit, tuple(notes))


def how_to_read(value: str) -> str:
    """What may mend a value that is no number: a clause that names flags, or nothing."""
    bare = _bare(pd.Series([value])).iloc[0]
    for pattern, flags in (
        (_GROUPED, "--thousands=',' or --decimal=','"),
        (r"[-+]?\d{1,3}(?:,\d{3})+\.\d+", "--thousands=','"),
        (r"[-+]?\d{1,3}(?:\.\d{3})+,\d+", "--decimal=',' --thousands='.'"),
        (rf"[-+]?\d{{1,3}}(?:{_SPACE}\d{{3}})+,\d+", "--decimal=',' --thousands=' '"),
        (rf"[-+]?\d{{1,3}}(?:{_SPACE}\d{{3}})+(?:\.\d+)?", "--thousands=' '"),
        (r"[-+]?\d{1,3}(?:['’]\d{3})+(?:\.\d+)?", '--thousands="\'"'),
        (r"[-+]?\d*,\d+", "--decimal=','"),
        (r"[-+]?\d{1,3}(?:\.\d{3}){2,}", "--decimal=',' --thousands='.'"),
        (r"[-+]?\d*\.\d+", "--decimal='.'"),
    ):
        if pd.Series([bare]).str.fullmatch(pattern).iloc[0]:
            return f"; read it with {flags}"
    if re.fullmatch(r"\(.*\d.*\)", bare):
        return "; write a minus where brackets mean one"
    if re.fullmatch(r"[-+]?\d[\d.,]*\s*[^\W\d]+[\w/²³°]*|[-+]?[\d.,]+\s*°[CF]?", bare):
        return "; write the number without its unit"
    return ""


def _text(column: pd.Series) -> pd.Series:
    """The cells as texts, empty where nothing is."""
    text = column.map(str, na_action="ignore").astype(object)
    return text.where(column.notna(), "").astype(str).str.strip()


def _says_nothing(text: pd.Series) -> pd.Series:
    return (text == "") | text.str.lower().isin(_MISSING) | text.isin(_DASHES)


def _bare(text: pd.Series) -> pd.Series:
    """Without units, and with an ordinary minus."""
    bare = text.str.replace("\u2212", "-", regex=False)
    bare = bare.str.replace(rf"^([-+]?)\s*{_UNITS}\s*", r"\1", regex=True)
    return bare.str.replace(rf"\s*{_UNITS}$", "", regex=True)
