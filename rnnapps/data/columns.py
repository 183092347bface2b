"""What the columns of a table of time series are for."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnnapps.data import times
from rnnapps.data.tables import Table
from rnnapps.data.timestamps import PARTS, are_clocks, looks_like_times, read_stamps
from rnnapps.errors import DataError

_INDICES = ("", "unnamed: 0", "index", "id", "no", "nr", "row", "#")


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns of a table are for.

    Args:
        time: Column of the time, or columns of its parts (`year`, `month`, `day`, `hour`, ...), or
            of a date and a time of day; empty to find it, or for a table without any, whose rows
            are steps.
        targets: Columns to forecast; empty for all that are named nowhere else.
        past: Columns known up to the present.
        future: Columns known ahead.
        series: Column that names the series, where there are several.
        freq: pandas' name of the step, or a number of integers; `None` to infer it.
        calendar: Features made from the time: names of `times.CALENDAR`.
        categories: The words of each covariate that holds words, each of which becomes a column of
            zeros and ones; found where it is empty.
        zone: The times' zone, found; `None` where they have none.
        order: In which order the parts of a date were read, where that was open.
        decimal: The decimal mark, where it was found to be a comma.
        holidays: Countries, or parts of them, whose public holidays are features made from the
            time.
        static: Columns that say the same in all rows of a series; the network sees them as past
            covariates.
    """

    time: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    series: str | None = None
    freq: str | None = None
    calendar: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    zone: str | None = None
    order: str | None = None
    decimal: str | None = None
    holidays: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @functools.cached_property
    def static_names(self) -> tuple[str, ...]:
        """The columns of whole series, a column of words in its parts."""
        return self._expanded(self.static)

    @functools.cached_property
    def past_names(self) -> tuple[str, ...]:
        """The past covariates, a column of words in its parts."""
        return self._expanded(self.past)

    @functools.cached_property
    def future_names(self) -> tuple[str, ...]:
        """The future covariates, a column of words in its parts, and the calendar's features."""
        made = times.calendar_names(self.calendar) + tuple(f"holiday {p}" for p in self.holidays)
        return self._expanded(self.future) + made

    @property
    def from_time(self) -> bool:
        """Whether some future covariates are made from the time."""
        return bool(self.calendar or self.holidays)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """All columns of `Series.values`, in their order."""
        return self.targets + self.static_names + self.past_names + self.future_names

    def _expanded(self, columns: Sequence[str]) -> tuple[str, ...]:
        expanded: list[str] = []
        for name in columns:
            words = self.categories.get(name)
            expanded += [name] if words is None else [f"{name}={word}" for word in words]
        return tuple(expanded)


def resolve(
    table: Table, columns: Columns, time_format: str | None = None
) -> tuple[Columns, list[str]]:
    """Puts in the columns that are left open, and checks that each is there.

    Args:
        table: The table.
        columns: What its columns are for.
        time_format: How the user says that times are written.

    Returns:
        The columns, and what was left out.

    Raises:
        DataError: If a column is missing, or it is open which one holds the times.
    """
    present = [str(name) for name in table.frame.columns]
    roles = {"time_column": columns.time, "target": columns.targets,
             "past_covariates": columns.past, "future_covariates": columns.future,
             "static_columns": columns.static,
             "series_column": (columns.series,) if columns.series else ()}  # fmt: skip
    for option, names in roles.items():
        for name in names:
            table.require(option, name)
    named = {name for names in roles.values() for name in names}
    free = [name for name in present if name not in named]
    time = columns.time or _find_time(table, free, columns, time_format)
    rest = [name for name in free if name not in time]
    notes = []
    if time and not columns.targets and rest and _is_index(table.frame[rest[0]], rest[0]):
        shown = repr(rest[0]) if rest[0] else "without a name"
        notes.append(f"column {shown}, which numbers the rows, is left out")
        rest = rest[1:]
    if not columns.targets:
        full = [name for name in rest if not table.frame[name].isna().all()] or rest
        hollow = [name for name in rest if name not in full]
        notes += [f"column {name!r}, which holds nothing, is left out" for name in hollow]
        rest = full
    targets = columns.targets or tuple(rest)
    if not targets:
        raise DataError(f"{table.where} has no column to forecast; name one with --target.")
    return dataclasses.replace(columns, time=time, targets=targets), notes


def _find_time(
    table: Table, free: Sequence[str], columns: Columns, time_format: str | None
) -> tuple[str, ...]:
    """The only column that holds times; else the columns of their parts, or numbers in a row."""
    frame, where = table.frame, table.where
    dated = [name for name in free if looks_like_times(frame[name], time_format)]
    if len(dated) > 1:
        raise DataError(
            f"{where} has several columns of times ({', '.join(dated)}); name one with "
            "--time-column."
        )
    if dated:
        again = frame[dated[0]].duplicated().any()  # dates of which each has several times of day
        clocks = [one for one in free if again and one != dated[0] and are_clocks(frame[one])]
        return (*dated, *clocks[:1])
    parts = {name.lower(): name for name in free}
    if {"year", "month"} <= parts.keys():
        return tuple(parts[part] for part in PARTS if part in parts)
    if not free or len(frame.columns) == 1:
        return ()
    first = frame[free[0]]
    numbers = pd.to_numeric(first, errors="coerce")
    if numbers.notna().mean() < 0.5:
        raise DataError(
            f"Expected times in column {free[0]!r} of {where}. Received: {first.iloc[0]!r} in row "
            "1; name the column of the times with --time-column, how they are written with "
            "--time-format, or a column that names series with --series-column."
        )
    stamps = read_stamps(first, None, None, lambda index: True, where)
    groups = frame[columns.series].astype(str) if columns.series else pd.Series("", frame.index)
    found = not stamps.bad.any() and all(
        times.are_regular(stamps.index[rows], columns.freq)
        and stamps.index[rows].is_monotonic_increasing
        for rows in groups.groupby(groups).indices.values()
    )
    return (free[0],) if found else ()


def _is_index(column: pd.Series, name: str) -> bool:
    """Whether a column numbers the rows, as pandas' index does."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    counted = bool((numbers - numbers[0] == np.arange(len(numbers))).all())
    return counted and name.lower().rstrip(".") in _INDICES
