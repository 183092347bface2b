"""Probabilistic forecasts: likelihoods, their losses, calibrated intervals."""

from rnnapps.probabilistic.alarms import DEPTH, LAGS, Alarms, fit_alarms
from rnnapps.probabilistic.cointegration import Cointegration, fit_cointegration
from rnnapps.probabilistic.conformal import AdaptiveConformal, ConformalCalibration
from rnnapps.probabilistic.likelihoods import make_likelihood, quantiles_of
from rnnapps.probabilistic.losses import ForecastLoss, PointError
from rnnapps.probabilistic.rarity import APART, Rarity, raised

__all__ = [
    "APART",
    "DEPTH",
    "LAGS",
    "AdaptiveConformal",
    "Alarms",
    "Cointegration",
    "ConformalCalibration",
    "ForecastLoss",
    "PointError",
    "Rarity",
    "fit_alarms",
    "fit_cointegration",
    "make_likelihood",
    "quantiles_of",
    "raised",
]
