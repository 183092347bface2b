"""Public holidays of countries, by the package holidays, which is imported when needed."""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.errors import ConfigError, nearest

_AHEAD = 10  # years after this one of which an export knows the holidays


def holiday_flags(index: pd.DatetimeIndex, places: Sequence[str]) -> np.ndarray:
    """Which times lie on a public holiday.

    Args:
        index: The times, as clocks show them.
        places: Countries by their ISO 3166 code, `DE`, or parts of them, `DE-BY`.

    Returns:
        float32 `(time, places)`, a one on holidays.

    Raises:
        ConfigError: If the package is not installed, or knows no such country or part.
    """
    days = index.tz_localize(None).normalize()
    years = range(days.year.min(), days.year.max() + 1)
    columns = [days.isin(pd.DatetimeIndex(list(_calendar(one, years)))) for one in places]
    return np.stack(columns, axis=1).astype(np.float32)


def holiday_days(place: str, years: Sequence[int]) -> np.ndarray:
    """The holidays of a country, or of a part of one, as ascending days since 1970-01-01.

    Args:
        place: As for `holiday_flags`.
        years: The years.

    Returns:
        int64 `(holidays,)`.

    Raises:
        ConfigError: If the package is not installed, or knows no such country or part.
    """
    dates = np.array(sorted(_calendar(place, years)), "datetime64[D]")
    return dates.astype(np.int64)


def holidays_end() -> datetime.date:
    """The last day of the table of holidays in what is exported today."""
    return datetime.date(datetime.date.today().year + _AHEAD, 12, 31)


def _calendar(place: str, years: Sequence[int]) -> Any:
    """The holidays of a country, or of a part of one, by their dates."""
    try:
        import holidays
    except ImportError:
        raise ConfigError(
            "--holidays needs the package holidays: pip install 'rnnapps[holidays]'."
        ) from None
    country, _, part = place.partition("-")
    known = holidays.list_supported_countries()
    if country not in known:
        raise ConfigError(
            "Expected --holidays to name countries by their ISO 3166 code, such as DE or US. "
            f"Received: {place!r}.{nearest(country.upper(), sorted(known))}"
        )
    if part and part not in known[country]:
        raise ConfigError(
            f"Expected --holidays to name a part of {country}: {', '.join(known[country])}. "
            f"Received: {place!r}."
        )
    return holidays.country_holidays(country, subdiv=part or None, years=years)
