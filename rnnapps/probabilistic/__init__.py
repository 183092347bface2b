"""Forecasts that say how sure they are: likelihoods, their losses, intervals that hold."""

from rnnapps.probabilistic.conformal import AdaptiveConformal, ConformalCalibration
from rnnapps.probabilistic.likelihoods import make_likelihood, quantiles_of
from rnnapps.probabilistic.losses import ForecastLoss, PointError

__all__ = [
    "AdaptiveConformal",
    "ConformalCalibration",
    "ForecastLoss",
    "PointError",
    "make_likelihood",
    "quantiles_of",
]
