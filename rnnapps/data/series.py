"""Time series from a table: regular steps, checked values, and a note of all that was mended."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnnapps.data import times
from rnnapps.data.tables import read_table
from rnnapps.errors import DataError, flag, nearest

_MISSING = {"na", "n/a", "nan", "null", "none"}  # among numbers; among words, only an empty cell
_MAX_CATEGORIES = 50


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns of a table are for.

    Args:
        time: Column of the time, or columns of its parts (`year`, `month`, `day`, `hour`, ...);
            empty for the table's first column.
        targets: Columns to forecast; empty for all that are named nowhere else.
        past: Columns known up to the present.
        future: Columns known ahead.
        series: Column that names the series, where there are several.
        freq: pandas' name of the step; `None` to infer it.
        calendar: Features made from the time: names of `times.CALENDAR`.
        categories: The words of each covariate that holds words, each of which becomes a column of
            zeros and ones; found where it is empty.
    """

    time: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    series: str | None = None
    freq: str | None = None
    calendar: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def past_names(self) -> tuple[str, ...]:
        """The past covariates, a column of words in its parts."""
        return self._expanded(self.past)

    @property
    def future_names(self) -> tuple[str, ...]:
        """The future covariates, a column of words in its parts, and the calendar's features."""
        return self._expanded(self.future) + times.calendar_names(self.calendar)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns of `Series.values`, in their order."""
        return self.targets + self.past_names + self.future_names

    def _expanded(self, columns: Sequence[str]) -> tuple[str, ...]:
        expanded: list[str] = []
        for name in columns:
            words = self.categories.get(name)
            expanded += [name] if words is None else [f"{name}={word}" for word in words]
        return tuple(expanded)


@dataclasses.dataclass(frozen=True)
class Series:
    """One series of regular steps.

    Args:
        name: Its name; empty where the table holds only one.
        times: The time of each step.
        values: float64 `(time, columns)`, in the order of `Columns.names`; NaN where missing.
    """

    name: str
    times: pd.DatetimeIndex
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.times)


@dataclasses.dataclass(frozen=True)
class SeriesSet:
    """The series of a table.

    Args:
        series: The series.
        columns: What their columns are, with all that was left open filled in.
        notes: What was mended, a sentence each.
    """

    series: list[Series]
    columns: Columns
    notes: list[str]


def read_series(
    given: pathlib.Path | str | pd.DataFrame, columns: Columns, check_targets: bool = True
) -> SeriesSet:
    """Reads the series of a table.

    Rows may come in any order, and steps may be missing: their values are NaN. A row that stands
    there twice counts once. In a column of numbers `NA`, `none` and the like are missing values; in
    a column of words they are words. Each of these is noted.

    Args:
        given: A table in a file that `read_table` reads, or a DataFrame.
        columns: What its columns are for.
        check_targets: Whether a target without a single value is an error.

    Returns:
        The series, with the columns' open questions answered.

    Raises:
        DataError: If a column is missing, a time or a number cannot be read, values are infinite,
            two rows contradict each other, or the steps are not regular.
    """
    where = "the table" if isinstance(given, pd.DataFrame) else str(given)
    frame = given if isinstance(given, pd.DataFrame) else read_table(given).frame
    if isinstance(given, pd.DataFrame) and isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=frame.index.name or "time")
    if frame.empty:
        raise DataError(f"{where} holds no rows.")
    columns = _resolve(frame, columns, where)
    stamps = times.parse(frame, columns.time, where)
    notes: list[str] = []
    table, columns = _values(frame, columns, where, check_targets, notes)
    series, freq = [], columns.freq
    for name, rows in _groups(frame, columns, where).items():
        here = f"{where}, series {name}" if name else where
        kept, index = _ordered(stamps[rows], table[rows], rows, here, columns, notes)
        freq = freq or times.infer_freq(index, rows[kept], here)
        grid = times.grid(index, rows[kept], freq, here)
        values = np.full((len(grid), table.shape[1]), np.nan)
        values[grid.get_indexer(index)] = table[rows[kept]]
        if len(grid) > len(index):
            first = grid[~grid.isin(index)][0]
            notes.append(
                f"{here} lacks {len(grid) - len(index)} of {len(grid)} steps (the first at "
                f"{first}); they count as missing values."
            )
        series.append(Series(name, grid, values))
    columns = dataclasses.replace(columns, freq=freq)
    series = [_with_calendar(one, columns) for one in series]
    return SeriesSet(series, columns, notes + _missing(series, columns, where))


def _resolve(frame: pd.DataFrame, columns: Columns, where: str) -> Columns:
    """Puts in the default columns, and checks that each is there."""
    present = [str(name) for name in frame.columns]
    time = columns.time or (present[0],)
    named = {*time, *columns.past, *columns.future, columns.series}
    targets = columns.targets or tuple(name for name in present if name not in named)
    roles = {"time_column": time, "target": targets, "past_covariates": columns.past,
             "future_covariates": columns.future}  # fmt: skip
    roles["series_column"] = (columns.series,) if columns.series else ()
    for option, names in roles.items():
        for name in names:
            if name not in present:
                raise DataError(
                    f"{where} has no column {name!r} ({flag(option)}); its columns are "
                    f"{', '.join(present)}.{nearest(name, present)}"
                )
    if not targets:
        raise DataError(f"{where} has no column to forecast; name one with --target.")
    return dataclasses.replace(columns, time=time, targets=targets)


def _groups(frame: pd.DataFrame, columns: Columns, where: str) -> dict[str, np.ndarray]:
    """The rows of each series, by its name."""
    if columns.series is None:
        return {"": np.arange(len(frame))}
    column = frame[columns.series]
    names = column.astype(str)
    nameless = (column.isna() | (names.str.strip() == "")).to_numpy()
    if nameless.any():
        raise DataError(
            f"Expected the name of a series in column {columns.series!r} of {where}. Received: an "
            f"empty cell in row {int(nameless.argmax()) + 1}."
        )
    return {str(name): rows for name, rows in names.groupby(names, sort=False).indices.items()}


def _values(
    frame: pd.DataFrame, columns: Columns, where: str, check_targets: bool, notes: list[str]
) -> tuple[np.ndarray, Columns]:
    """All values `(rows, columns)` but the calendar's, and the columns with their categories."""
    categories, parts = dict(columns.categories), []
    for name in (*columns.targets, *columns.past, *columns.future):
        wordy = name not in columns.targets
        values = _column(frame[name], name, where, categories if wordy else None, notes)
        if np.isnan(values).all() and (check_targets or wordy):
            raise DataError(f"{where} has no value at all in column {name!r}.")
        parts.append(values)
    table = np.concatenate(parts, axis=1)
    return table, dataclasses.replace(columns, categories=categories)


def _column(
    column: pd.Series,
    name: str,
    where: str,
    categories: dict[str, tuple[str, ...]] | None,
    notes: list[str],
) -> np.ndarray:
    """The numbers `(rows, 1)` of a column, or `(rows, words)` with a one for each row's word."""
    text = column.astype(str).str.strip()
    empty = (column.isna() | (text == "")).to_numpy()
    if categories is None or name not in categories:
        missing = empty | text.str.lower().isin(_MISSING).to_numpy()
        numbers = pd.to_numeric(
            column if pd.api.types.is_numeric_dtype(column) else text, errors="coerce"
        ).to_numpy(float, na_value=np.nan)
        bad = np.isnan(numbers) & ~missing
        if categories is None or not bad.any() or (np.isfinite(numbers)).any():
            _note(text[missing & ~empty], "which count as missing values", name, where, notes)
            return _numbers(numbers, bad, text, name, where)
        words = tuple(sorted(set(text[~empty])))
        if len(words) > _MAX_CATEGORIES:
            raise DataError(
                f"Expected numbers, or at most {_MAX_CATEGORIES} different words, in column "
                f"{name!r} of {where}. Received: {len(words)} different words."
            )
        categories[name] = words
    matches = text.to_numpy()[:, None] == np.array(categories[name], dtype=object)
    unseen = ~empty & ~matches.any(1)
    _note(text[unseen], "which training did not see", name, where, notes)
    return np.where(empty[:, None], np.nan, matches.astype(float))


def _note(words: pd.Series, what: str, name: str, where: str, notes: list[str]) -> None:
    """Notes what was made of some words in a column."""
    if words.empty:
        return
    counts = [f"{word!r} in {count} rows" for word, count in words.value_counts().head(3).items()]
    more = ", ..." if words.nunique() > 3 else ""
    notes.append(f"{where} holds {', '.join(counts)}{more} of column {name!r}, {what}.")


def _numbers(
    numbers: np.ndarray, bad: np.ndarray, text: pd.Series, name: str, where: str
) -> np.ndarray:
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"Expected numbers in column {name!r} of {where}. Received: {text.iloc[row]!r} in row "
            f"{row + 1}."
        )
    infinite = np.isinf(numbers) | (np.abs(numbers) > np.finfo(np.float32).max)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"Expected finite numbers in column {name!r} of {where}. Received: "
            f"{text.iloc[row]} in row {row + 1}."
        )
    return numbers[:, None]


def _ordered(
    stamps: pd.DatetimeIndex,
    table: np.ndarray,
    rows: np.ndarray,
    where: str,
    columns: Columns,
    notes: list[str],
) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """The positions of a series' rows by ascending time, each time once."""
    order = np.argsort(stamps.asi8, kind="stable")
    if (order != np.arange(len(order))).any():
        row = rows[np.flatnonzero(stamps.asi8[1:] < stamps.asi8[:-1])[0] + 1] + 1
        notes.append(f"{where} was not in the order of time (first in row {row}) and was sorted.")
    index = stamps[order]
    again = np.flatnonzero(index.duplicated())
    for position in again:
        one, other = order[position - 1], order[position]
        if not np.array_equal(table[one], table[other], equal_nan=True):
            hint = "" if columns.series else "; if these are several series, name --series-column"
            raise DataError(
                f"{where} has two rows of different values for {index[position]} (rows "
                f"{rows[one] + 1} and {rows[other] + 1}){hint}."
            )
    if len(again):
        row = rows[order[again[0]]] + 1
        notes.append(
            f"{where} repeats {len(again)} rows (the first is row {row}), which count once."
        )
    kept = np.delete(order, again)
    return kept, stamps[kept]


def _with_calendar(one: Series, columns: Columns) -> Series:
    if not columns.calendar:
        return one
    features = times.calendar(one.times, columns.calendar)
    return dataclasses.replace(one, values=np.concatenate([one.values, features], axis=1))


def _missing(series: list[Series], columns: Columns, where: str) -> list[str]:
    """A sentence on the values that are missing."""
    total = sum(len(one) for one in series)
    counts = sum(np.isnan(one.values).sum(0) for one in series)
    lacking = [
        f"{name} {count}" for name, count in zip(columns.names, counts, strict=True) if count
    ]
    if not lacking:
        return []
    return [
        f"{where} has missing values (of {total}: {', '.join(lacking)}); the network sees the last "
        "known value and, in the columns where training lacked some, which are missing; no error "
        "is counted where the target is."
    ]
