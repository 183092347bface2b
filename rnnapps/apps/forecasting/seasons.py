"""Detects the season of steps that are only numbered, by how values repeat."""

from collections.abc import Sequence

import numpy as np

_CLEAR = 0.4  # of a correlation of 1, from which on a series repeats itself
_NEAR = 0.8  # of the highest correlation: the first lag that comes so near is the season
_LONGEST = 400  # steps of a season, at most


def find_season(series: Sequence[np.ndarray]) -> int:
    """Finds after how many steps series repeat themselves.

    What counts is how far changes from step to step repeat those of a season before, in the median
    of the series: a trend has no part in it, nor has the level. Multiples of the season, such as
    the week of hourly values, repeat about as much, so that the first of them is taken.

    Args:
        series: The values of each, `(time,)`, NaN where missing.

    Returns:
        Steps of the season; 1 where none is clear, or less than three of them are there.
    """
    limit = min(_LONGEST, int(np.median([len(one) for one in series])) // 3)
    long = [one for one in series if len(one) >= 2 * limit]
    if limit < 2:
        return 1
    similar = np.median([_autocorrelation(np.diff(one), limit) for one in long], axis=0)
    peaks = np.flatnonzero((similar[1:-1] > similar[:-2]) & (similar[1:-1] >= similar[2:])) + 1
    peaks = peaks[(peaks > 1) & (similar[peaks] >= _CLEAR)]
    near = similar[peaks] >= _NEAR * similar[peaks].max(initial=0)
    return int(peaks[near][0]) if len(peaks) else 1


def _autocorrelation(values: np.ndarray, lags: int) -> np.ndarray:
    """Of values `(time,)` at the lags 0, 1, ..., one more than `lags`; zeros where none moves."""
    known = np.isfinite(values)
    mean = values[known].mean() if known.any() else 0.0
    power = np.abs(np.fft.rfft(np.where(known, values - mean, 0), 2 * len(values))) ** 2
    found = np.fft.irfft(power)[: lags + 2]
    return found / found[0] if found[0] > 0 else np.zeros(lags + 2)
