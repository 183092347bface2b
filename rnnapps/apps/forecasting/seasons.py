"""Detects the season length of series without time stamps, by autocorrelation."""

from collections.abc import Sequence

import numpy as np

_CLEAR = 0.4  # minimum autocorrelation of a season
_NEAR = 0.8  # the season is the first lag with this fraction of the highest autocorrelation
_LONGEST = 400  # maximum season length, in steps


def find_season(series: Sequence[np.ndarray]) -> int:
    """Finds the season length of series.

    It is based on the median autocorrelation of first differences, independent of trend and level.
    Multiples of the season, such as a week of hourly values, correlate about as well, so the first
    is chosen.

    Args:
        series: The values of each, `(time,)`, NaN where missing.

    Returns:
        The season length in steps; 1 if none is clear, or there are less than three seasons.
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
    """The autocorrelation of values `(time,)` at lags 0 to `lags + 1`; zeros if constant."""
    known = np.isfinite(values)
    mean = values[known].mean() if known.any() else 0.0
    power = np.abs(np.fft.rfft(np.where(known, values - mean, 0), 2 * len(values))) ** 2
    found = np.fft.irfft(power)[: lags + 2]
    return found / found[0] if found[0] > 0 else np.zeros(lags + 2)
