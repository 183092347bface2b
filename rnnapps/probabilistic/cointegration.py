"""Cointegrated targets: detects where one leaves its usual relation to the others."""

import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps.probabilistic.alarms import LAGS, RECENT
from rnnapps.probabilistic.rarity import Rarity, rolling

_LASTING = (4, 8, 24)  # window lengths for shift detection, in steps
_CLIP = 4.0  # maximum contribution of one step to a shift's score, in typical distances
_FLOOR = 0.5  # weight of the typical distance in the normalization
_RARE = 0.1  # fraction of steps that exceed 1 in each kind of score, as weeks may be anomalous
_TAIL = 0.1  # fraction of scores that the tail is fitted to
_RIDGE = 1e-4
_ROUNDS = 20  # iterations of reweighted least squares
_MOST = 20_000  # maximum number of (latest) steps to fit
_LEAST = 1000


class Cointegration:
    """Scores how surprising values are, given the other targets' values at the same step.

    A shift that forecasts soon follow leaves no trace in their errors, but stays in the target's
    distance from a linear map of the other targets. From each distance the median of 168 distances
    ending 24 steps earlier is subtracted, and it is divided by their spread. The score is the
    largest of those for a shift over 1, 4, 8 and 24 steps.

    Targets are cointegrated if they are closer to this map than to their forecasts.

    Args:
        weights: The linear map, `(from targets, targets)`, with a zero diagonal.
        typical: Half the typical interquartile range of distances, `(targets,)`.
        members: Which targets are cointegrated, `(targets,)`.

    Call arguments:
        values: `(batch, time, targets)`, none missing.

    Output:
        The surprise, `-log10` of the alarm rate per step, same shape; `-inf` for targets that are
        not cointegrated.

    Reference:
        - [Engle and Granger, 1987](https://doi.org/10.2307/1913236), cointegration

    Example:
    >>> one = np.cumsum(np.random.default_rng(0).normal(size=(3000, 1)), axis=0)
    >>> values = np.concatenate([one, 2 * one], axis=1)
    >>> values[:, 1] += np.random.default_rng(1).normal(size=3000)
    >>> cointegration = fit_cointegration(values, np.array([1.0, 2.0]))
    >>> values[-24:, 1] += 4
    >>> bool((cointegration(values[None]).numpy()[0, -24:, 1] > 3).any())
    True
    """

    def __init__(self, weights: np.ndarray, typical: np.ndarray, members: np.ndarray):
        self.weights, self.typical, self.members = weights, typical, members
        self.usual = np.ones((1 + len(_LASTING), len(members)), np.float32)  # 90 % quantiles
        self.rarity: Rarity  # of the largest score, set by `calibrate`

    def __call__(self, values):
        score = tf.reduce_max(self._kinds(values) / self.usual[:, None, None], axis=0)
        return tf.where(self.members, self.rarity(score), -np.inf)

    def _kinds(self, values):
        """The scores of each kind `(kinds, batch, time, targets)`; 0 at the first steps."""
        values = tf.cast(values, tf.float64)
        left = values - tf.matmul(values, tf.constant(self.weights, tf.float64))
        before = LAGS + RECENT
        padded = tf.concat([tf.repeat(left[:, :1], before, axis=1), left], axis=1)
        low, middle, high = rolling(padded[:, : -LAGS - 1], RECENT, [0.25, 0.5, 0.75])
        width = _FLOOR * self.typical + (1 - _FLOOR) * (high - low) / 2
        seen = tf.range(tf.shape(left)[1])[:, None] >= before
        left = tf.where(seen, (left - middle) / width, 0)
        said = tf.cumsum(tf.clip_by_value(left, -_CLIP, _CLIP), axis=1)
        kinds = [tf.abs(left)]
        for steps in _LASTING:
            earlier = tf.pad(said, [[0, 0], [steps, 0], [0, 0]])[:, :-steps]
            kinds.append(tf.abs(said - earlier) / np.sqrt(steps))
        return tf.cast(tf.stack(kinds), tf.float32)

    def calibrate(self, values: np.ndarray) -> None:
        """Estimates how rare scores are.

        Args:
            values: `(time, targets)`, none missing.
        """
        kinds = self._kinds(values[None]).numpy()[:, 0, LAGS + RECENT :]
        self.usual = np.maximum(np.quantile(kinds, 1 - _RARE, axis=1), 1e-6).astype(np.float32)
        self.rarity = Rarity([(kinds / self.usual[:, None]).max(0)], _TAIL)


def fit_cointegration(values: np.ndarray, scale: np.ndarray) -> Cointegration | None:
    """Fits and calibrates the cointegration of targets.

    Args:
        values: The targets `(time, targets)`, NaN where missing, which are forward-filled.
        scale: The size of forecast errors, `(targets,)`.

    Returns:
        The cointegration; `None` if no target is cointegrated, or there are too few steps.
    """
    if len(values) < _LEAST or values.shape[1] < 2:
        return None
    values = pd.DataFrame(values[-_MOST:]).ffill().bfill().fillna(0).to_numpy()
    weights = _weights(values)
    left = values - values @ weights
    low, high = rolling(tf.constant(left[None]), RECENT, [0.25, 0.75])
    typical = np.median((high - low) / 2, axis=(0, 1))
    members = (typical > 0) & (typical < scale)
    if not members.any():
        return None
    cointegration = Cointegration(weights, np.where(typical > 0, typical, 1), members)
    cointegration.calibrate(values)
    return cointegration


def _weights(values: np.ndarray) -> np.ndarray:
    """The linear map with least absolute errors, robust to outliers, `(from, to)`."""
    values = values - np.median(values, axis=0)
    scale = np.maximum(np.median(np.abs(values), axis=0), 1e-9)
    scaled, targets = values / scale, values.shape[1]
    weights = np.zeros((targets, targets))
    for target in range(targets):
        others, truth = np.arange(targets) != target, scaled[:, target]
        rows = np.column_stack([scaled[:, others], np.ones(len(scaled))])
        share = np.ones(len(rows))
        for _ in range(_ROUNDS):
            weighed = rows * share[:, None]
            inner = weighed.T @ rows + _RIDGE * share.sum() * np.eye(targets)
            found = np.linalg.solve(inner, weighed.T @ truth)
            off = np.abs(truth - rows @ found)
            share = 1 / np.maximum(off, 0.1 * np.median(off) + 1e-9)
        weights[others, target] = found[:-1] * scale[target] / scale[others]
    return weights
