"""Times of a table: read, put on a regular grid, and turned into features."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from rnnapps.errors import DataError

_PARTS = ("year", "month", "day", "hour", "minute", "second")
_SEASONS = {"B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}
_DAY = pd.Timedelta(days=1)
CALENDAR = ("hour", "weekday", "monthday", "yearday", "month")


def parse(frame: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DatetimeIndex:
    """Reads the times of a table's rows; those with a time zone become UTC.

    Args:
        frame: The table.
        columns: Column of the time, or the columns of year, month, day, ... in this order.
        where: What errors call the table.

    Returns:
        The time of each row.

    Raises:
        DataError: If one is not a time.
    """
    if len(columns) > 1:
        parts = pd.DataFrame(
            {
                part: pd.to_numeric(frame[name], errors="coerce")
                for part, name in zip(_PARTS, columns, strict=False)
            }
        )
        parts = parts.assign(**{part: 1 for part in _PARTS[1:3] if part not in parts})
        stamps = pd.to_datetime(parts, errors="coerce")
        text = frame[list(columns)].astype(str).agg(" ".join, axis=1)
    else:
        column = frame[columns[0]]
        text = column.astype(str).str.strip()
        if pd.api.types.is_datetime64_any_dtype(column):
            stamps = column
        else:
            stamps = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=_zoned(text))
            if stamps.isna().any():
                stamps = pd.to_datetime(text, errors="coerce", utc=_zoned(text))
    bad = stamps.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"Expected times in column {', '.join(columns)} of {where}. Received: "
            f"{text.iloc[row]!r} in row {row + 1}."
        )
    index = pd.DatetimeIndex(stamps)
    return index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index


def _zoned(text: pd.Series) -> bool:
    return bool(text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True).all())


def infer_freq(index: pd.DatetimeIndex, rows: np.ndarray, where: str) -> str:
    """Infers the step of ascending times of which some may be missing.

    Args:
        index: The times.
        rows: The row of each in its table, for errors.
        where: What errors call the table.

    Returns:
        pandas' name of the step.

    Raises:
        DataError: If there is no such step.
    """
    if len(index) < 3:
        raise DataError(
            f"Expected at least 3 steps to infer --freq from in {where}. Received: {len(index)}."
        )
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


def grid(index: pd.DatetimeIndex, rows: np.ndarray, freq: str, where: str) -> pd.DatetimeIndex:
    """All steps from the first time to the last.

    Args:
        index: Ascending times.
        rows: The row of each in its table, for errors.
        freq: pandas' name of the step.
        where: What errors call the table.

    Returns:
        The times of the steps.

    Raises:
        DataError: If there is no such step, or a time that is not on the grid.
    """
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


def _irregular(index, off: np.ndarray, rows: np.ndarray, freq: str, where: str):
    first = int(np.argmax(off))
    raise DataError(
        f"Expected regular steps of {freq} from {index[0]} on in {where}. Received: {index[first]} "
        f"in row {rows[first] + 1}; name the step with --freq, or resample the table."
    )


def following(index: pd.DatetimeIndex, freq: str, steps: int) -> pd.DatetimeIndex:
    """The times of the steps after the last."""
    return pd.date_range(index[-1], periods=steps + 1, freq=freq)[1:]


def season_of(freq: str) -> int:
    """Steps of a season: a day of hours, a week of days, a year of months, ...

    Args:
        freq: The step, as pandas writes it.

    Returns:
        The number of steps; 1 where there is no season.
    """
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
