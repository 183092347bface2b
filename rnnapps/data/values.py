"""The values of a table of time series: numbers, and words as one-hot columns."""

import dataclasses

import numpy as np

from rnnapps.config import SeriesOptions
from rnnapps.data.columns import Columns
from rnnapps.data.numbers import Marks, Numbers, find_marks, how_to_read, parse_numbers
from rnnapps.data.tables import Table
from rnnapps.errors import DataError

_MAX_CATEGORIES = 50


def read_values(
    table: Table, columns: Columns, options: SeriesOptions, check_targets: bool, notes: list[str]
) -> tuple[np.ndarray, Columns, list[str]]:
    """Reads all values but the calendar's.

    Args:
        table: The table.
        columns: What its columns are for.
        options: How its numbers are written.
        check_targets: Whether a target without a single value is an error.
        notes: To which is added what was made of some of them.

    Returns:
        float64 `(rows, columns)`, NaN where missing; the columns, with the words of those that hold
        words; and how the numbers were read.

    Raises:
        DataError: If a number cannot be read, a column holds nothing, or too many words.
    """
    frame, where, how = table.frame, table.where, []
    names = (*columns.targets, *columns.static, *columns.past, *columns.future)
    known = columns.decimal if table.separator in (";", "\t") else None
    if known and not (options.decimal or options.thousands):
        marks = Marks(known)
    else:
        marks = find_marks([frame[name] for name in names], options, table.separator, where)
    if marks.decimal == "," and options.decimal is None:
        columns = dataclasses.replace(columns, decimal=",")
        how.append("decimal comma")
    categories, parts = dict(columns.categories), []
    for name in names:
        wordy = name not in columns.targets
        numbers = parse_numbers(frame[name], marks, name)
        if numbers.unit:
            how.append(f"{name!r} without its {numbers.unit}")
        values = _column(numbers, name, where, categories if wordy else None, notes)
        if np.isnan(values).all() and (check_targets or wordy):
            raise DataError(
                f"{where} has no value at all in column {name!r}; leave it out, or name what is to "
                "be forecast with --target."
            )
        parts.append(values)
    columns = dataclasses.replace(columns, categories=categories)
    return np.concatenate(parts, axis=1), columns, how


def _column(
    numbers: Numbers,
    name: str,
    where: str,
    categories: dict[str, tuple[str, ...]] | None,
    notes: list[str],
) -> np.ndarray:
    """The numbers `(rows, 1)` of a column, or `(rows, words)` with a one for each row's word."""
    if categories is None or name not in categories:
        if categories is None or not numbers.bad.any() or np.isfinite(numbers.values).any():
            _check(numbers, name, where, categories is None)
            notes += numbers.notes
            return numbers.values[:, None]
        text, empty = numbers.text, numbers.empty
        words = tuple(sorted(set(text[~empty])))
        if len(words) > _MAX_CATEGORIES:
            raise DataError(
                f"Expected numbers, or at most {_MAX_CATEGORIES} different words, in column "
                f"{name!r} of {where}. Received: {len(words)} different words."
            )
        categories[name] = words
    text, empty = numbers.text, numbers.empty
    matches = text.to_numpy()[:, None] == np.array(categories[name], dtype=object)
    unseen = text[~empty & ~matches.any(1)]
    if len(unseen):
        counts = [f"{word!r} in {count} rows" for word, count in unseen.value_counts()[:3].items()]
        more = ", ..." if unseen.nunique() > 3 else ""
        notes.append(
            f"{where} holds {', '.join(counts)}{more} of column {name!r}, which training did not "
            "see."
        )
    return np.where(empty[:, None], np.nan, matches.astype(float))


def _check(numbers: Numbers, name: str, where: str, is_target: bool) -> None:
    """Refuses a column with a cell that is no number."""
    if numbers.bad.any():
        row = int(numbers.bad.argmax())
        value = numbers.text.iloc[row]
        hint = how_to_read(value)
        if numbers.unit and numbers.unit not in value:
            hint = f", where others have a {numbers.unit}; write it at all of them or at none"
        if " " in name and " " in value:
            hint = "; if spaces stand between columns, say so with --separator=space"
        if is_target and not numbers.text.str.contains(r"\d").any():
            hint = "; if it names the series, say so with --series-column; else name what is to be "
            hint += "forecast with --target"
        raise DataError(
            f"Expected numbers in column {name!r} of {where}. Received: {value!r} in row "
            f"{row + 1}{hint}."
        )
    infinite = np.isinf(numbers.values) | (np.abs(numbers.values) > np.finfo(np.float32).max)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"Expected finite numbers in column {name!r} of {where}. Received: "
            f"{numbers.text.iloc[row]} in row {row + 1}."
        )
