"""Forecasts that say how sure they are: likelihoods, their losses, intervals that hold."""

from rnnapps.probabilistic.alarms import APART, DEPTH, LAGS, Alarms, fit_alarms, raised
from rnnapps.probabilistic.conformal import AdaptiveConformal, ConformalCalibration
from rnnapps.probabilistic.likelihoods import make_likelihood, quantiles_of
from rnnapps.probabilistic.losses import ForecastLoss, PointError

__all__ = [
    "APART",
    "DEPTH",
    "LAGS",
    "AdaptiveConformal",
    "Alarms",
    "ConformalCalibration",
    "ForecastLoss",
    "PointError",
    "fit_alarms",
    "make_likelihood",
    "quantiles_of",
    "raised",
]
