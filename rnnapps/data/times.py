"""Times of a table: read, put on a regular grid, and turned into features."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnnapps.errors import DataError

_PARTS = ("year", "month", "day", "hour", "minute", "second")
_OFFSETS = ("B", "W", "MS", "ME", "QS", "QE", "YS", "YE")  # tried where steps differ in length
_SEASONS = {"B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
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
    steps = pd.Series(np.diff(index.asi8))
    step = pd.Timedelta(int(steps.mode()[0]), unit=index.unit)
    day = pd.Timedelta(days=1)
    weekdays = step == day and len(index) > 7 and (index.dayofweek < 5).all()
    if not weekdays and ((index - index[0]) % step == pd.Timedelta(0)).all():
        return pd.tseries.frequencies.to_offset(step).freqstr
    candidates = [f"W-{index[0].day_name()[:3].upper()}" if o == "W" else o for o in _OFFSETS]
    for name in candidates if step >= day else ():
        offset = pd.tseries.frequencies.to_offset(name)
        if all(offset.is_on_offset(time) for time in index):
            return name
    return _irregular(index, ((index - index[0]) % step != pd.Timedelta(0)), rows, str(step), where)


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
        offset = pd.tseries.frequencies.to_offset(freq)
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
    """Steps of a season: a day of hours, a week of days, a year of months, ..."""
    offset = pd.tseries.frequencies.to_offset(freq)
    if isinstance(offset, pd.tseries.offsets.Tick):
        seconds = pd.Timedelta(offset).total_seconds()
        if seconds >= 86400:
            return max(1, round(7 * 86400 / seconds))
        around = 86400 if seconds >= 600 else 3600 if seconds >= 10 else 60
        return max(1, round(around / seconds))
    if isinstance(offset, pd.tseries.offsets.Day):
        return max(1, round(7 / offset.n))
    kind = "B" if offset.name == "B" else offset.name.split("-")[0].rstrip("SE")
    return max(1, _SEASONS.get(kind, 1) // offset.n)


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
        "weekday": index.dayofweek / 7,
        "monthday": (index.day - 1) / 31,
        "yearday": (index.dayofyear - 1) / 365.25,
        "month": (index.month - 1) / 12,
    }
    angles = [2 * np.pi * np.asarray(phases[feature], float) for feature in features]
    points = [part(angle) for angle in angles for part in (np.sin, np.cos)]
    return np.stack(points, axis=1).astype(np.float32)
