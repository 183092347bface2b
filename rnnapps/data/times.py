"""Times on a regular grid, of dates or of step numbers, and their features."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from rnnapps.errors import DataError

_SEASONS = {"B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}
_LACKING = 0.01  # of a grid's steps, at most, for its times to be regular
_DAY = pd.Timedelta(days=1)
CALENDAR = ("hour", "weekday", "monthday", "yearday", "month")


def infer_freq(index: pd.Index, rows: np.ndarray, where: str) -> str:
    """Infers the step of ascending times of which some may be missing.

    Args:
        index: The times, or integers.
        rows: The row of each in its table, for errors.
        where: What errors call the table.

    Returns:
        pandas' name of the step; of integers the number between them.

    Raises:
        DataError: If there is no such step.
    """
    if len(index) < 3:
        raise DataError(
            f"Expected at least 3 steps to infer --freq from in {where}. Received: {len(index)}."
        )
    if is_counted(index):
        step = max(1, int(pd.Series(np.diff(index)).mode()[0]))
        off = (index - index[0]) % step != 0
        if off.any():
            _irregular(index, off, rows, str(step), where)
        return str(step)
    step = pd.Timedelta(int(pd.Series(np.diff(index.asi8)).mode()[0]), unit=index.unit)
    days = step // _DAY
    if days >= 28 and (name := _months(index)):
        return name
    if days == 1 and len(index) > 7 and (index.day_of_week < 5).all():
        return "B"
    name = to_offset(step).freqstr if step % _DAY else f"{days}D" if days > 1 else "D"
    off = ((index - index[0]) % step) != pd.Timedelta(0)
    if off.any():
        _irregular(index, off, rows, name, where)
    return name


def is_counted(index: pd.Index) -> bool:
    """Whether these are integers rather than times."""
    return not isinstance(index, pd.DatetimeIndex)


def _months(index: pd.DatetimeIndex) -> str | None:
    """The step of times at the start, or at the end, of months."""
    starts = (index.day == 1).all()
    if not starts and not index.is_month_end.all():
        return None
    months = index.year * 12 + index.month
    step = int(pd.Series(np.diff(months)).mode()[0])
    if step < 1 or ((months - months[0]) % step).any():
        return None
    kind, first = "S" if starts else "E", index[0].strftime("%b").upper()
    names = {1: f"M{kind}", 3: f"Q{kind}-{first}", 12: f"Y{kind}-{first}"}
    return names.get(step, f"{step}M{kind}")


def grid(index: pd.Index, rows: np.ndarray, freq: str, where: str) -> pd.Index:
    """All steps from the first time to the last.

    Args:
        index: Ascending times, or integers.
        rows: The row of each in its table, for errors.
        freq: pandas' name of the step.
        where: What errors call the table.

    Returns:
        The times of the steps.

    Raises:
        DataError: If there is no such step, or a time that is not on the grid.
    """
    if is_counted(index):
        if not freq.isdigit() or freq == "0":
            raise DataError(
                f"Expected --freq to be a whole number in {where}, whose steps are numbered. "
                f"Received: {freq!r}."
            )
        every = pd.RangeIndex(index[0], index[-1] + 1, int(freq))
        off = ~index.isin(every)
        if off.any():
            _irregular(index, off, rows, freq, where)
        return every
    try:
        offset = to_offset(freq)
    except ValueError:
        raise DataError(
            f"Expected --freq to be pandas' name of a step, such as h, D, MS or 15min. Received: "
            f"{freq!r}."
        ) from None
    every = pd.date_range(index[0], index[-1], freq=offset)
    off = ~index.isin(every)
    if off.any():
        _irregular(index, off, rows, freq, where)
    return every.as_unit(index.unit)


def _irregular(
    index: pd.Index, off: np.ndarray, rows: np.ndarray, freq: str, where: str
) -> NoReturn:
    first = int(np.argmax(off))
    raise DataError(
        f"Expected regular steps of {freq} from {index[0]} on in {where}. Received: {index[first]} "
        f"in row {rows[first] + 1}; name the step with --freq, or resample the table."
    )


def are_regular(index: pd.Index, freq: str | None) -> bool:
    """Whether times lie on a grid, of whose steps they lack at most one in a hundred.

    Args:
        index: The times, or integers, in any order.
        freq: The grid's step; `None` to infer it.

    Returns:
        Whether they do.
    """
    index = index[~index.isna()].unique().sort_values()
    rows = np.arange(len(index))
    try:
        every = grid(index, rows, freq or infer_freq(index, rows, ""), "")
    except DataError:
        return False
    return len(every) - len(index) <= _LACKING * len(every)


def in_zone(index: pd.Index, zone: str | None, freq: str | None) -> pd.Index:
    """Times with their zone put on again.

    Times of an hour or so in a zone that changes its clocks are kept in UTC; others, as days, are
    kept as the wall shows them.

    Args:
        index: The times, without a zone.
        zone: The zone.
        freq: The step between them; one that is `None`, as yet unknown, is taken for a long one.

    Returns:
        The times in the zone.
    """
    if zone is None or is_counted(index):
        return index
    offset = to_offset(freq)
    brief = isinstance(offset, pd.tseries.offsets.Tick) and pd.Timedelta(offset) < _DAY
    if zone.startswith("UTC") or not brief:
        return index.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    return index.tz_localize("UTC").tz_convert(zone)


def following(index: pd.Index, freq: str, steps: int) -> pd.Index:
    """The times of the steps after the last."""
    if is_counted(index):
        step = int(freq)
        return pd.RangeIndex(index[-1] + step, index[-1] + step * (steps + 1), step)
    return pd.date_range(index[-1], periods=steps + 1, freq=freq)[1:]


def season_of(freq: str) -> int:
    """Steps of a season: a day of hours, a week of days, a year of months, ...

    Args:
        freq: The step, as pandas writes it.

    Returns:
        The number of steps; 1 where there is no season.
    """
    if freq.isdigit():
        return 1
    offset = to_offset(freq)
    if isinstance(offset, pd.tseries.offsets.Tick) and pd.Timedelta(offset) < _DAY:
        seconds = pd.Timedelta(offset).total_seconds()
        around = 86400 if seconds >= 600 else 3600 if seconds >= 10 else 60
        return max(1, round(around / seconds))
    if isinstance(offset, (pd.tseries.offsets.Tick, pd.tseries.offsets.Day)):
        days = pd.Timedelta(offset) // _DAY
        return max(1, round(7 / days if days < 7 else 365.25 / days))
    return max(1, _SEASONS.get(offset.rule_code.split("-")[0], 1) // offset.n)


def calendar_names(features: Sequence[str]) -> tuple[str, ...]:
    """The columns that `calendar` makes of these features."""
    return tuple(f"{feature}_{part}" for feature in features for part in ("sin", "cos"))


def calendar(index: pd.DatetimeIndex, features: Sequence[str]) -> np.ndarray:
    """Places of times in their day, week, month or year, each as a point on a circle.

    Args:
        index: The times.
        features: Names of `CALENDAR`.

    Returns:
        float32 `(time, 2 * features)`: sine and cosine of each.
    """
    phases = {
        "hour": (index.hour + index.minute / 60 + index.second / 3600) / 24,
        "weekday": index.day_of_week / 7,
        "monthday": (index.day - 1) / 31,
        "yearday": (index.day_of_year - 1) / 365.25,
        "month": (index.month - 1) / 12,
    }
    angles = [2 * np.pi * np.asarray(phases[feature], float) for feature in features]
    points = [part(angle) for angle in angles for part in (np.sin, np.cos)]
    return np.stack(points, axis=1).astype(np.float32)
