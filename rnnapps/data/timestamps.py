"""Parses times, in one way or not at all."""

import dataclasses
import datetime
import zoneinfo
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from rnnapps.config import SeriesOptions
from rnnapps.errors import DataError

PARTS = ("year", "month", "day", "hour", "minute", "second")
ORDERS = {
    "year first": ("year", "month", "day"),
    "day first": ("day", "month", "year"),
    "month first": ("month", "day", "year"),
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_CLOCK = (
    r"(?:[T\s,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d|(?<=:\d\d)[+-]\d\d)?"
)
_ZONE = r"[T\s]\d[\d:.,]*\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"  # behind a time of day
_WEEKDAY = r"(?:[A-Za-z]{3,9}\.?,?\s+)?"
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"
_MARK = r"[\s.,/-]*"
_MONTH_OF_YEAR = rf"{_MONTH}[-/\s'’](?P<year>\d\d)"  # Jan-14, which may be a day of January, too
_DATES = (
    _WEEKDAY + r"(?P<one>\d{1,4})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<three>\d{1,4})",
    _WEEKDAY + rf"(?P<day>\d{{1,2}}){_MARK}{_MONTH}{_MARK}(?P<year>\d{{4}}|\d\d)",
    _WEEKDAY + rf"{_MONTH}\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})",
    rf"{_MONTH}{_MARK}(?P<year>\d{{4}})",
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})",
    r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    r"(?P<year>\d{4})[-\s]?Q(?P<quarter>[1-4])",
    r"Q(?P<quarter>[1-4])[-\s/]?(?P<year>\d{4})",
    r"(?P<year>\d{4})-?W(?P<week>\d\d)",
    _MONTH_OF_YEAR,
)
_TIME_OF_DAY = r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?"
_NUMBERS = (
    ("%Y", 4, "years"),
    ("%Y%m%d", 8, "dates written yyyymmdd"),
    ("%Y%m", 6, "months written yyyymm"),
)
_EPOCHS = {"s": 1e0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclasses.dataclass(frozen=True)
class Stamps:
    """The times of a table's rows.

    Args:
        index: The time of each row, without a zone; NaT where it is none; or integers.
        zone: The zone in which they are local, or whose UTC they are (see `times.in_zone`).
        order: Which of `ORDERS` the dates were read in, where that was open.
        notes: How they were read.
    """

    index: pd.Index
    zone: str | None = None
    order: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def bad(self) -> np.ndarray:
        """Which rows have no time `(rows,)`."""
        return np.asarray(self.index.isna())


def read_stamps(
    column: pd.Series,
    options: SeriesOptions | None,
    order: str | None,
    is_regular: Callable[[pd.DatetimeIndex], bool],
    where: str,
) -> Stamps:
    """Reads a column of times.

    Args:
        column: The column.
        options: How the user says that it is written.
        order: Which of `ORDERS` other times of this kind were read in, if any were.
        is_regular: Whether the steps between times are regular, which decides between two readings.
        where: What errors call the column.

    Returns:
        The times.

    Raises:
        DataError: If there are two readings, and both or neither have regular steps; or only some
            times have a zone.
    """
    options = options or SeriesOptions()
    if pd.api.types.is_datetime64_any_dtype(column):
        return _zoned(pd.DatetimeIndex(column), None, where)
    text = column.map(str, na_action="ignore").astype(object).where(column.notna(), "")
    text = text.astype(str).str.strip()
    zones = text.str.extract(_ZONE, expand=False)
    if options.time_format:
        stamps = pd.to_datetime(text, errors="coerce", format=options.time_format,
                                utc="%z" in options.time_format)  # fmt: skip
        return _zoned(pd.DatetimeIndex(stamps), zones if zones.notna().any() else None, where)
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.notna().mean() > 0.9:
        return _from_numbers(numbers, text)
    stamps = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
    pattern = max(_DATES, key=lambda one: text.str.fullmatch(one + _CLOCK).sum())
    parts = text.str.extract(f"^(?:{pattern}){_CLOCK}$")
    if stamps.isna().sum() <= parts.isna().all(axis=1).sum():
        return _zoned(pd.DatetimeIndex(stamps), zones, where)
    readings = _readings(parts, "day first" if options.day_first else order)
    order = next(iter(readings))
    why = ""
    if len(readings) > 1:
        order, why = _decide(readings, is_regular, text, where), ", which makes the steps regular"
    found = _zoned(readings[order], parts["zone"], where)
    if pattern == _MONTH_OF_YEAR:
        if not is_regular(found.index):
            return Stamps(pd.DatetimeIndex([pd.NaT] * len(text)))
        meant = f"{text.iloc[0]!r} is {found.index[0]:%B %Y}"
        found = dataclasses.replace(found, notes=(meant, *found.notes))
    if order not in ("day first", "month first"):
        return found
    return dataclasses.replace(found, order=order, notes=(f"dates {order}{why}", *found.notes))


def read_parts(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DatetimeIndex:
    """Reads times whose parts have columns of their own.

    Args:
        frame: The table.
        columns: The columns of year, month, day, ... in this order.

    Returns:
        The times; NaT where a part is no number or out of its range.
    """
    parts = pd.DataFrame(
        {
            part: pd.to_numeric(frame[name], errors="coerce")
            for part, name in zip(PARTS, columns, strict=False)
        }
    )
    parts = parts.assign(**{part: 1 for part in PARTS[1:3] if part not in parts})
    return pd.DatetimeIndex(pd.to_datetime(parts, errors="coerce"))


def join_clock(dates: pd.Series, clocks: pd.Series) -> pd.Series:
    """Texts of dates and times of day, from a column of each; hours may be numbers."""
    if pd.api.types.is_datetime64_any_dtype(dates):
        dates = dates.dt.strftime("%Y-%m-%d")
    day, clock = (one.map(str).astype(str).str.strip() for one in (dates, clocks))
    day = day.str.replace(r"[T\s]00:00:00$", "", regex=True)  # as a date of Excel has it
    return day + " " + clock.str.replace(r"^(\d{1,2})(?:\.0)?$", r"\1:00", regex=True)


def are_clocks(column: pd.Series) -> bool:
    """Whether all of a column's values are times of day, or hours under that name."""
    text = column.map(str).astype(str).str.strip()
    if str(column.name).lower() in ("hour", "hours", "hr"):
        return bool(text.str.fullmatch(r"(?:[01]?\d|2[0-3])(?:\.0)?").all())
    return bool(text.str.fullmatch(_TIME_OF_DAY).all())


def looks_like_times(column: pd.Series, time_format: str | None = None) -> bool:
    """Whether nearly all of a column's first values are dates, and not numbers.

    Args:
        column: The column.
        time_format: How the user says that times are written, which then decides.

    Returns:
        Whether they are.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if time_format:
        text = column.dropna().map(str).head(100).astype(str).str.strip()
        found = pd.to_datetime(text, errors="coerce", format=time_format, utc="%z" in time_format)
        return bool(found.notna().mean() >= 0.9)
    if pd.api.types.is_numeric_dtype(column):
        return False
    text = column.dropna().map(str).head(100).astype(str).str.strip()
    if text.empty or pd.to_numeric(text, errors="coerce").notna().mean() > 0.1:
        return False
    found = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True).notna()
    for pattern in _DATES:
        found |= text.str.fullmatch(pattern + _CLOCK)
    return bool(found.mean() >= 0.9)


def _readings(parts: pd.DataFrame, order: str | None) -> dict[str, pd.DatetimeIndex]:
    """Times by the order in which the parts of a date can be meant."""
    if "one" not in parts:
        return {"named": _assemble(parts)}
    texts = parts[["one", "two", "three"]]
    wide = texts.apply(lambda one: one.str.len().max() > 2)
    orders = {
        name: order
        for name, order in ORDERS.items()
        if not any(wide.iloc[i] and order[i] != "year" for i in range(3))
    }
    if order in orders:  # what is known stays so, and what does not fit is a mistake
        orders = {order: orders[order]}
    found = {
        name: _assemble(parts.assign(**dict(zip(order, texts.to_numpy().T, strict=True))))
        for name, order in orders.items()
    }
    most = max((stamps.notna().sum() for stamps in found.values()), default=0)
    if not most:
        return {"none": pd.DatetimeIndex([pd.NaT] * len(parts))}
    return {name: stamps for name, stamps in found.items() if stamps.notna().sum() == most}


def _assemble(parts: pd.DataFrame) -> pd.DatetimeIndex:
    """Times of their parts; NaT where one is out of its range."""
    known = (*PARTS, "week", "quarter")
    part = {one: pd.to_numeric(parts[one], errors="coerce") for one in parts if one in known}
    if "week" in part:
        part |= {"month": pd.Series(1, parts.index), "day": pd.Series(4, parts.index)}
    if "quarter" in part:
        part["month"] = 3 * part.pop("quarter") - 2
    if "name" in parts:
        short = parts["name"].str.lower().str[:3]
        part["month"] = short.map({name: i + 1 for i, name in enumerate(_MONTHS)})
    short = parts["year"].str.len() == 2
    year = part["year"]
    part["year"] = year.where(~short, year + 2000 - 100 * (year > 68))  # as strptime does
    part.setdefault("day", pd.Series(1, parts.index))
    if parts["half"].notna().any():
        late = parts["half"].str.lower() == "p"
        hour = part["hour"].where(part["hour"].between(1, 12))
        part["hour"] = hour.where(parts["half"].isna(), hour % 12 + 12 * late)
    clock = {name: part[name].where(parts["hour"].notna(), 0) for name in ("hour", "minute")}
    clock["second"] = part["second"].fillna(0)
    dates = pd.DataFrame({name: part[name] for name in ("year", "month", "day")} | clock)
    stamps = pd.to_datetime(dates, errors="coerce")
    if "week" in part:  # of ISO 8601: the first is that of 4 January, and weeks begin on Monday
        week = part["week"].where(part["week"].between(1, 53))
        stamps += pd.to_timedelta(7 * (week - 1) - stamps.dt.day_of_week, unit="D")
    if parts["part"].notna().any():
        fraction = pd.to_numeric("0." + parts["part"].fillna("0"))
        stamps = stamps + pd.to_timedelta(fraction, unit="s")
    return pd.DatetimeIndex(stamps)


def _decide(
    readings: dict[str, pd.DatetimeIndex],
    is_regular: Callable[[pd.DatetimeIndex], bool],
    text: pd.Series,
    where: str,
) -> str:
    """The only reading whose steps are regular."""
    regular = [name for name, stamps in readings.items() if is_regular(stamps)]
    if len(regular) == 1:
        return regular[0]
    readings = {name: readings[name] for name in regular or readings}
    row = int(np.argmax(~_alike(readings)))
    meant = " or ".join(
        f"{stamps[row]:%-d %B %Y} ({_flag_of(name, text.iloc[row])})"
        for name, stamps in readings.items()
    )
    how = "either way" if regular else "neither way"
    raise DataError(
        f"Expected dates that can be read in one way in {where}. Received: {text.iloc[row]!r}, "
        f"which is {meant}; steps are regular {how}."
    )


def _alike(readings: dict[str, pd.DatetimeIndex]) -> np.ndarray:
    first, *others = readings.values()
    return np.all([first == other for other in others], axis=0)


def _flag_of(order: str, value: str) -> str:
    if order == "day first":
        return "--day-first"
    mark = next(one for one in "/-." if one in value)
    letters = {"year": "%Y" if max(map(len, value.split(" ")[0].split(mark))) > 2 else "%y",
               "month": "%m", "day": "%d"}  # fmt: skip
    clock = {0: "", 1: " %H:%M", 2: " %H:%M:%S"}[min(2, value.count(":"))]
    return f"--time-format='{mark.join(letters[part] for part in ORDERS[order])}{clock}'"


def _zoned(index: pd.DatetimeIndex, zones: pd.Series | None, where: str) -> Stamps:
    """Times with their zone taken off, and kept by name."""
    if zones is None:
        if index.tz is None:
            return Stamps(index)
        zone, wall = zone_name(index.tz, where), index.tz_localize(None)
        if _are_days(wall) or zone.startswith("UTC"):
            return Stamps(wall, zone)
        return Stamps(index.tz_convert("UTC").tz_localize(None), zone)
    known = zones[~index.isna()]
    if known.notna().any() and known.isna().any():
        row = int(known.isna().idxmax())
        raise DataError(f"{where} has times with a zone, and one without in row {row + 1}.")
    if not known.notna().any():
        return Stamps(index.tz_localize(None))
    offsets = zones.replace({"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"})
    offsets = offsets.str.replace(r"^([+-]\d\d)$", r"\1:00", regex=True)
    offsets = offsets.str.replace(r"^([+-]\d\d):?(\d\d)$", r"\1:\2", regex=True).fillna("+00:00")
    shift = pd.to_timedelta(offsets.str.replace("+", "", regex=False) + ":00").to_numpy()
    if index.tz is None:  # put together from its parts, which are the wall's
        wall, instants = index, index - shift
    else:
        instants = index.tz_localize(None)
        wall = instants + shift
    names = offsets.unique()
    if len(names) == 1:
        return Stamps(wall, "UTC" if names[0] == "+00:00" else f"UTC{names[0]}")
    if _are_days(wall):
        return Stamps(wall)
    notes = (f"times of several offsets ({', '.join(sorted(names))}) are put in UTC",)
    return Stamps(instants, "UTC", notes=notes)


def zone_name(zone: datetime.tzinfo, where: str) -> str:
    """The name under which pandas finds a zone again.

    Args:
        zone: The zone.
        where: What errors call the column.

    Raises:
        DataError: If it has none.
    """
    offset = zone.utcoffset(None)  # the same at all times, or `None`
    if offset is not None:
        return str(datetime.timezone(offset))
    try:
        return zoneinfo.ZoneInfo(str(zone)).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise DataError(
            f"Expected a zone with a name, such as Europe/Berlin, in {where}. Received: {zone}; "
            "put the times into one with dt.tz_convert."
        ) from None


def _are_days(wall: pd.DatetimeIndex) -> bool:
    """Whether all times are the same time of day."""
    clock = (wall - wall.normalize()).dropna()
    return len(clock.unique()) == 1


def _from_numbers(numbers: pd.Series, text: pd.Series) -> Stamps:
    """Years, dates in one number, seconds since 1970, or mere numbers of steps."""
    values = numbers.to_numpy(float)
    known = values[np.isfinite(values)]
    whole = bool((known % 1 == 0).all())
    for unit, size in _EPOCHS.items():
        if (known > 3e8 * size).all() and (known < 1e10 * size).all():
            stamps = pd.to_datetime(numbers, unit=unit, errors="coerce")
            return Stamps(pd.DatetimeIndex(stamps), "UTC", notes=(f"times in {unit} since 1970",))
    for letters, digits, shown in _NUMBERS:
        alike = text.str.fullmatch(rf"(?:1[6-9]|2[01])\d{{{digits - 2}}}(?:\.0)?")
        if whole and alike.mean() > 0.9:
            stamps = pd.to_datetime(text.str[:digits], format=letters, errors="coerce")
            if stamps.notna().mean() > 0.9:
                return Stamps(pd.DatetimeIndex(stamps), notes=(f"times are {shown}",))
    if whole and len(known) == len(values):
        return Stamps(pd.Index(values.astype(np.int64)))
    return Stamps(pd.DatetimeIndex([pd.NaT] * len(values)))
