"""Time series from a table: regular steps, checked values, and notes of all repairs."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from rnnapps.config import SeriesOptions
from rnnapps.data import times
from rnnapps.data.columns import Columns, resolve
from rnnapps.data.holidays import holiday_flags
from rnnapps.data.large import are_streamed, is_large, tables_of
from rnnapps.data.stored_columns import read_columns
from rnnapps.data.tables import Table, from_frame, read_table
from rnnapps.data.timestamps import (
    Stamps,
    join_clock,
    looks_like_times,
    read_parts,
    read_stamps,
)
from rnnapps.data.values import read_values
from rnnapps.errors import ConfigError, DataError, flag
from rnnapps.progress import tracked

_SHOWN = 5  # series that are listed


@dataclasses.dataclass(frozen=True)
class Series:
    """One series of regular steps.

    Args:
        name: Its name; empty where the table holds only one.
        times: The time of each step, without its zone; or integers.
        values: float64 `(time, columns)`, in the order of `Columns.names`; NaN where missing.
    """

    name: str
    times: pd.Index
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
        said: What was read: the file, its columns, and the series.
    """

    series: list[Series]
    columns: Columns
    notes: list[str]
    said: tuple[str, ...] = ()


def read_series(
    given: pathlib.Path | str | pd.DataFrame,
    columns: Columns,
    check_targets: bool = True,
    options: SeriesOptions | None = None,
) -> SeriesSet:
    """Reads the series of a table.

    Rows may come in any order, and steps may be missing: their values are NaN. A row that stands
    there twice counts once. In a column of numbers `NA`, `none` and the like are missing values; in
    a column of words they are words. Each of these is noted.

    Args:
        given: A table in a file that `read_table` reads, a pattern of several such as
            `part-*.parquet`, or a DataFrame. Several tables, and large ones of separated values,
            JSON objects a line or Parquet, are read a chunk at a time into files.
        columns: What its columns are for.
        check_targets: Whether a target without a single value is an error.
        options: How the table is written.

    Returns:
        The series, with the columns' open questions answered.

    Raises:
        DataError: If a column is missing, a time or a number cannot be read, values are infinite,
            two rows contradict each other, or the steps are not regular.
    """
    options = options or SeriesOptions()
    is_frame = isinstance(given, pd.DataFrame)
    table = from_frame(given) if is_frame else _read(given, columns, options)
    frame, where = table.frame, table.where
    if frame.empty:
        raise DataError(f"{where} holds no rows.")
    columns, mended = resolve(table, columns, options.time_format)
    groups = _groups(frame, columns, where)
    stamps = _stamps(table, columns, options, groups)
    columns = dataclasses.replace(columns, zone=stamps.zone, order=stamps.order)
    notes: list[str] = []
    values, columns, how = read_values(table, columns, options, check_targets, notes)
    series, freq, grids = [], columns.freq, dict[tuple, pd.Index]()
    for name, rows in tracked(groups.items(), "series"):
        here = f"{where}, series {name}" if name else where
        kept, index = _ordered(stamps.index[rows], values[rows], rows, here, columns, notes)
        freq = freq or times.infer_freq(index, rows[kept], here)
        grid = times.grid(index, rows[kept], freq, here)
        grid = grids.setdefault((grid[0], grid[-1]), grid)  # series often have the same steps
        filled = np.full((len(grid), values.shape[1]), np.nan)
        filled[grid.get_indexer(index)] = values[rows[kept]]
        if columns.static:
            _fill_static(filled, frame[[*columns.static]].iloc[rows], columns, here)
        if len(grid) > len(index):
            first = grid[~grid.isin(index)][0]
            notes.append(
                f"{here} lacks {len(grid) - len(index)} of {len(grid)} steps (the first at "
                f"{first}); they count as missing values."
            )
        series.append(Series(name, grid, filled))
    columns = dataclasses.replace(columns, freq=freq)
    series = [_with_calendar(one, columns) for one in series]
    said = (
        "; ".join([f"{where}: {len(frame):,} rows", *table.notes, *stamps.notes, *how, *mended]),
        *_said(series, columns),
    )
    return SeriesSet(series, columns, notes + _missing(series, columns, where), said)


def _read(given: pathlib.Path | str, columns: Columns, options: SeriesOptions) -> Table:
    """A table in a file, or in several that match a pattern."""
    path, wanted = pathlib.Path(given), (*columns.time, *columns.targets)
    tables = [] if path.is_dir() else tables_of(path)
    if not tables or not is_large(tables):
        return read_table(tables[0] if tables else given, options, wanted)
    if are_streamed(tables):
        named = {*columns.categories, *((columns.series,) if columns.series else ())}
        return read_columns(given, tables, options, wanted, named, columns.decimal)
    if len(tables) > 1:
        raise DataError(
            f"Expected tables of separated values, .jsonl or .parquet that match {given}. "
            f"Received: {', '.join(one.name for one in tables[:3])}."
        )
    return read_table(given, options, wanted)


def stamp_of(
    text: str, option: str, columns: Columns, options: SeriesOptions
) -> pd.Timestamp | int:
    """Reads a single time as the table's times were read.

    Args:
        text: The time.
        option: The setting that holds it, for errors.
        columns: The table's columns, resolved.
        options: How the table is written.

    Returns:
        The time as `Series.times` has it, or an integer where those are integers.

    Raises:
        ConfigError: If it is no time.
    """
    counted = (columns.freq or "").isdigit()
    if counted and text.lstrip("-").isdigit():
        return int(text)
    column = pd.Series([text])
    for how in (options, SeriesOptions(day_first=options.day_first)):
        stamps = read_stamps(column, how, columns.order, lambda index: False, f"--{option}")
        if not stamps.bad.any() and counted == times.is_counted(stamps.index):
            return _as_kept(stamps, columns)
    what = "a whole number, as the steps are" if counted else "a time"
    raise ConfigError(f"Expected {flag(option)} to be {what}. Received: {text!r}.")


def _as_kept(stamps: Stamps, columns: Columns) -> pd.Timestamp:
    """A time of some zone, or of the table's own, as `Series.times` has it."""
    own = times.in_zone(pd.DatetimeIndex(["2000-01-01"]), columns.zone, columns.freq)
    (stamp,) = stamps.index
    if columns.zone is None:
        return stamp
    if stamps.zone:
        stamp = stamp.tz_localize(stamps.zone).tz_convert(columns.zone)
    else:
        stamp = stamp.tz_localize(columns.zone, ambiguous=False, nonexistent="shift_forward")
    in_utc = own[0] == pd.Timestamp("2000-01-01", tz="UTC")
    return stamp.tz_convert("UTC").tz_localize(None) if in_utc else stamp.tz_localize(None)


def _stamps(
    table: Table, columns: Columns, options: SeriesOptions, groups: dict[str, np.ndarray]
) -> Stamps:
    """The times of all rows; their numbers within their series where the table has no times."""
    frame, where = table.frame, table.where

    def is_regular(index: pd.Index) -> bool:
        return all(times.are_regular(index[rows], columns.freq) for rows in groups.values())

    if not columns.time:
        steps = np.empty(len(frame), np.int64)
        for rows in groups.values():
            steps[rows] = np.arange(len(rows))
        return Stamps(pd.Index(steps), notes=("no time column: each row is a step",))
    first, *others = columns.time
    if others and not looks_like_times(frame[first]):
        stamps = Stamps(read_parts(frame, columns.time))
    else:
        where_column = f"column {first!r} of {where}"
        column = join_clock(frame[first], frame[others[0]]) if others else frame[first]
        stamps = read_stamps(column, options, columns.order, is_regular, where_column)
    if stamps.bad.any():
        row = int(stamps.bad.argmax())
        cells = frame[list(columns.time)].iloc[row]
        received = " ".join("" if pd.isna(cell) else str(cell) for cell in cells)
        hint = "--time-format says how they are written"
        hint = hint if stamps.bad.mean() > 0.5 else "leave that row out"
        raise DataError(
            f"Expected times in column {', '.join(columns.time)} of {where}. Received: "
            f"{received!r} in row {row + 1}; {hint}."
        )
    return stamps


def _groups(frame: pd.DataFrame, columns: Columns, where: str) -> dict[str, np.ndarray]:
    """The rows of each series, by its name."""
    if columns.series is None:
        return {"": np.arange(len(frame))}
    column = frame[columns.series]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(str).where(column.notna())
    codes, names = pd.factorize(column)
    nameless = np.append(names.astype(str).str.strip() == "", True)[codes]  # -1 is the last
    if nameless.any():
        raise DataError(
            f"Expected the name of a series in column {columns.series!r} of {where}. Received: an "
            f"empty cell in row {int(nameless.argmax()) + 1}."
        )
    order = np.argsort(codes, kind="stable")  # a row stays behind those before it
    found = np.split(order, np.cumsum(np.bincount(codes, minlength=len(names)))[:-1])
    return {str(name): rows for name, rows in zip(names, found, strict=True)}


def _ordered(
    stamps: pd.Index,
    table: np.ndarray,
    rows: np.ndarray,
    where: str,
    columns: Columns,
    notes: list[str],
) -> tuple[np.ndarray, pd.Index]:
    """The positions of a series' rows by ascending time, each time once."""
    order = np.argsort(stamps.to_numpy(), kind="stable")
    if (order != np.arange(len(order))).any():
        row = rows[np.flatnonzero(stamps[1:] < stamps[:-1])[0] + 1] + 1
        notes.append(f"{where} was not in the order of time (first in row {row}) and was sorted.")
    index = stamps[order]
    again = np.flatnonzero(index.duplicated())
    for position in again:
        one, other = order[position - 1], order[position]
        if not np.array_equal(table[one], table[other], equal_nan=True):
            raise DataError(
                f"{where} has two rows of different values for {index[position]} (rows "
                f"{rows[one] + 1} and {rows[other] + 1}){_why_twice(index, columns)}."
            )
    if len(again):
        row = rows[order[again[0]]] + 1
        notes.append(
            f"{where} repeats {len(again)} rows (the first is row {row}), which count once."
        )
    kept = np.delete(order, again)
    return kept, stamps[kept]


def _why_twice(index: pd.Index, columns: Columns) -> str:
    """What may be the reason that times stand twice, and what mends it."""
    if columns.series is None and index.has_duplicates and not times.is_counted(index):
        again = index[index.duplicated()]
        nights = (again.day_of_week == 6) & (again.hour < 4) & again.month.isin([3, 4, 9, 10, 11])
        if nights.all() and (index != index.normalize()).any():
            return (
                ", an hour that comes twice in the night in which clocks are set back: write times "
                "with their offset (2024-10-27 02:00+01:00) or in UTC, or keep one of the two rows"
            )
    return "" if columns.series else "; if these are several series, name --series-column"


def _said(series: list[Series], columns: Columns) -> list[str]:
    """What the columns are for, and which series there are."""
    freq = f", step {columns.freq}" if columns.time else ""
    roles = {"times from": columns.time, "targets": columns.targets,
             "static": columns.static, "past covariates": columns.past,
             "future covariates": columns.future,
             "series named by": (columns.series,) if columns.series else ()}  # fmt: skip
    zone = f", in {columns.zone}" if columns.zone else ""
    lines = [
        "; ".join(
            f"{role} {', '.join(map(repr, names[:_SHOWN]))}"
            + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            + (freq + zone if role == "times from" else "")
            for role, names in roles.items()
            if names
        )
    ]
    if columns.series:
        shown = [f"{one.name} ({len(one):,} steps)" for one in series[:_SHOWN]]
        more = f" and {len(series) - _SHOWN:,} more" if len(series) > _SHOWN else ""
        lines.append(f"{len(series):,} series: {', '.join(shown)}{more}")
    else:
        ends = times.in_zone(series[0].times, columns.zone, columns.freq)[[0, -1]]
        first, last = (str(end).removesuffix(" 00:00:00") for end in ends)
        lines.append(f"{len(series[0]):,} steps from {first} to {last}")
    return lines


def _with_calendar(one: Series, columns: Columns) -> Series:
    if not columns.from_time:
        return one
    if times.is_counted(one.times):
        option = "--calendar" if columns.calendar else "--holidays"
        raise DataError(f"Expected a column of times (--time-column) with {option}.")
    features = features_of(one.times, columns)
    return dataclasses.replace(one, values=np.concatenate([one.values, features], axis=1))


def _fill_static(values: np.ndarray, rows: pd.DataFrame, columns: Columns, where: str) -> None:
    """Puts what a series' rows say of the whole series into all its steps."""
    for name in columns.static:
        said = rows[name].dropna().unique()
        if len(said) > 1:
            raise DataError(
                f"Expected column {name!r} of {where} to say the same in all rows, as "
                f"{flag('static_columns')} do. Received: {said[0]!r} and {said[1]!r}."
            )
    first = len(columns.targets)
    known = values[:, first : first + len(columns.static_names)]
    rows_known = np.isfinite(known).all(1)
    if known.shape[1] and rows_known.any():
        known[:] = known[np.argmax(rows_known)]


def features_of(stamps: pd.Index, columns: Columns) -> np.ndarray:
    """The features that are made from the time.

    Args:
        stamps: The times, as `Series.times` has them.
        columns: What the columns are for.

    Returns:
        float32 `(time, features)`: those of the calendar, then the holidays.
    """
    local = times.in_zone(stamps, columns.zone, columns.freq)
    parts = [times.calendar(local, columns.calendar)] if columns.calendar else []
    parts += [holiday_flags(local, columns.holidays)] if columns.holidays else []
    return np.concatenate(parts, axis=1)


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
        "known value, and in columns where training lacked some, which values are missing. Missing "
        "targets do not count in the metrics."
    ]
