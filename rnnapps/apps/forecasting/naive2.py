"""Naive2 and the overall weighted average (OWA) of the M4 competition."""

import numpy as np

from rnnapps.apps.forecasting.scaling import known_mean

_CRITICAL = 1.645  # normal quantile of a 90 % test


def is_seasonal(values: np.ndarray, season: int) -> bool:
    """The M4 competition's seasonality test.

    Args:
        values: The series `(time,)`, without missing values.
        season: Season length, in steps.

    Returns:
        Whether the autocorrelation at the season is significant at 90 %, given those at smaller
        lags. False for less than three seasons, and for seasons over `10 * log10(time)` steps, R's
        default maximum lag.
    """
    count = len(values)
    if season < 2 or count < 3 * season or season > int(10 * np.log10(count)):
        return False
    off = values - values.mean()
    total = off @ off
    if total == 0:
        return False
    acf = np.array([off[lag:] @ off[:-lag] for lag in range(1, season + 1)]) / total
    limit = _CRITICAL * np.sqrt((1 + 2 * np.sum(acf[:-1] ** 2)) / count)
    return bool(abs(acf[-1]) > limit)


def seasonal_indices(values: np.ndarray, season: int) -> np.ndarray:
    """The seasonal indices of a classical multiplicative decomposition.

    Args:
        values: The series `(time,)`, at least two seasons of positive values.
        season: Season length, in steps.

    Returns:
        The indices `(season,)`, starting at the series' first step; their mean is 1.
    """
    weights = np.ones(season) / season
    if season % 2 == 0:  # centred: both ends have half weight
        weights = np.concatenate([weights[:1] / 2, weights[1:], weights[:1] / 2])
    half = len(weights) // 2
    ratio = values[half : len(values) - half] / np.convolve(values, weights, "valid")
    phase = (np.arange(len(ratio)) + half) % season
    indices = np.array([ratio[phase == step].mean() for step in range(season)])
    return indices / indices.mean()


class Naive2:
    """The Naive2 forecast: the last value, seasonally adjusted if the series is seasonal.

    Args:
        values: The series before the first forecast, each `(time, targets)`, for detecting
            seasonality.
        season: Season length, in steps.

    Raises:
        ValueError: If Naive2 is undefined: a value is missing or not positive, or a series is
            constant.

    Reference:
        - [Makridakis et al., 2020](https://doi.org/10.1016/j.ijforecast.2019.04.014)
    """

    def __init__(self, values: list[np.ndarray], season: int):
        if not all(np.isfinite(one).all() and (one > 0).all() for one in values):
            raise ValueError("Expected positive values without a gap.")
        self.season = season
        # The mean absolute error of the seasonal naive forecast: the scale of MASE.
        self.errors = np.stack([known_mean(np.abs(one[season:] - one[:-season])) for one in values])
        if not (self.errors > 0).all():
            raise ValueError("Expected series that move.")
        self.indices = np.ones((len(values), season, values[0].shape[1]))
        for number, one in enumerate(values):
            for target, column in enumerate(one.T):
                if is_seasonal(column, season):
                    self.indices[number, :, target] = seasonal_indices(column, season)

    def forecast(self, last, series, origin, horizon: int) -> np.ndarray:
        """Forecasts windows.

        Args:
            last: The last values before the origin `(windows, targets)`.
            series: The index of each window's series, `(windows,)`.
            origin: The first forecast step in the series, `(windows,)`.
            horizon: Steps to forecast.

        Returns:
            The forecasts `(windows, horizon, targets)`.
        """
        level = last / self.indices[series, (origin - 1) % self.season]
        steps = (origin[:, None] + np.arange(horizon)) % self.season
        return level[:, None] * self.indices[series[:, None], steps]


def overall_weighted_average(found: dict[str, float], naive2: dict[str, float]) -> float:
    """OWA: the mean of sMAPE and MASE, each relative to Naive2; below 1 is better than Naive2.

    Args:
        found: The `smape` and `mase` of a forecaster.
        naive2: Those of Naive2.

    Returns:
        The average; NaN if Naive2 has no error.
    """
    ratios = [
        found[name] / naive2[name] if naive2[name] > 0 else np.nan for name in ("smape", "mase")
    ]
    return float(np.mean(ratios))
