"""Naive2 and the overall weighted average, by which the M4 competition ranked forecasts."""

import numpy as np

from rnnapps.apps.forecasting.scaling import known_mean

_CRITICAL = 1.645  # of a normal distribution: a test at 90 %


def is_seasonal(values: np.ndarray, season: int) -> bool:
    """The competition's test of whether a series repeats itself after a season.

    Args:
        values: The series `(time,)`, without missing values.
        season: Steps of a season.

    Returns:
        Whether the autocorrelation at a season is significant at 90 %, given those before it; never
        so of less than three seasons, nor of seasons beyond `10 * log10(time)` steps, as far as R
        computes autocorrelations by default.
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
    """Classical multiplicative decomposition: each step of a season relative to the mean.

    Args:
        values: The series `(time,)`, at least two seasons of positive values.
        season: Steps of a season.

    Returns:
        The indices `(season,)`, of the series' first steps; their mean is 1.
    """
    weights = np.ones(season) / season
    if season % 2 == 0:  # centred: the two ends count half
        weights = np.concatenate([weights[:1] / 2, weights[1:], weights[:1] / 2])
    half = len(weights) // 2
    ratio = values[half : len(values) - half] / np.convolve(values, weights, "valid")
    phase = (np.arange(len(ratio)) + half) % season
    indices = np.array([ratio[phase == step].mean() for step in range(season)])
    return indices / indices.mean()


class Naive2:
    """The last value, seasonally adjusted where a series is seasonal.

    Args:
        values: The series up to where forecasts begin, each `(time, targets)`, by which seasonality
            is found.
        season: Steps of a season.

    Raises:
        ValueError: If it is not defined: a value is missing or not positive, or a series does not
            move.

    Reference:
        - [Makridakis et al., 2020](https://doi.org/10.1016/j.ijforecast.2019.04.014)
    """

    def __init__(self, values: list[np.ndarray], season: int):
        if not all(np.isfinite(one).all() and (one > 0).all() for one in values):
            raise ValueError("Expected positive values without a gap.")
        self.season = season
        # What repeating the last season is off on average: the scale of MASE.
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
            series: The number of each window's series, `(windows,)`.
            origin: The step of the series at which the forecast begins, `(windows,)`.
            horizon: Steps to forecast.

        Returns:
            The forecasts `(windows, horizon, targets)`.
        """
        level = last / self.indices[series, (origin - 1) % self.season]
        steps = (origin[:, None] + np.arange(horizon)) % self.season
        return level[:, None] * self.indices[series[:, None], steps]


def overall_weighted_average(found: dict[str, float], naive2: dict[str, float]) -> float:
    """OWA: the mean of sMAPE and MASE, each relative to that of Naive2; 1 is as good.

    Args:
        found: The `smape` and `mase` of a forecaster.
        naive2: Those of Naive2.

    Returns:
        The average; NaN where Naive2 makes no error.
    """
    ratios = [
        found[name] / naive2[name] if naive2[name] > 0 else np.nan for name in ("smape", "mase")
    ]
    return float(np.mean(ratios))
