"""Targets that move together: where one leaves its usual relation to the others."""

import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps.probabilistic.alarms import LAGS, RECENT
from rnnapps.probabilistic.rarity import Rarity, rolling

_LASTING = (4, 8, 24)  # steps for which shifts are looked for
_CLIP = 4.0  # usual distances that one step may say for a shift, at most
_FLOOR = 0.5  # share of the usual distance in what distances are divided by
_RARE = 0.1  # share of steps that exceeds 1 in each kind of score, as weeks may be off
_TAIL = 0.1  # share of scores that says how fast higher ones become rare
_RIDGE = 1e-4
_ROUNDS = 20  # of reweighted least squares
_MOST = 20_000  # steps, the last ones, that are learned from
_LEAST = 1000


class Cointegration:
    """How surprising values are beside those of the other targets at their step.

    A shift of a target that forecasts follow soon leaves no trace in their errors, but stays in
    what the target is less a linear map of the other targets: in its distance from them, less the
    median of the distances of 168 steps that end 24 before, and divided by how far those lie
    apart. The largest of what a step and the last 4, 8 and 24 say for a shift is the score.

    Only targets that lie nearer to the others than their forecasts do to them are cointegrated.

    Args:
        weights: The map of values, `(from targets, targets)`, its diagonal 0.
        typical: Half of the usual width of the middle half of distances, `(targets,)`.
        members: Which targets are cointegrated, `(targets,)`.

    Call arguments:
        values: `(batch, time, targets)`, none of them missing.

    Output:
        The surprise, `-log10` of alarms a step, of the same shape; `-inf` of a target that
        is not cointegrated.

    Reference:
        - [Engle and Granger, 1987](https://doi.org/10.2307/1913236), series that move together

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
        self.usual = np.ones((1 + len(_LASTING), len(members)), np.float32)  # rare in each kind
        self.rarity: Rarity  # of the largest score; `calibrate`

    def __call__(self, values):
        score = tf.reduce_max(self._kinds(values) / self.usual[:, None, None], axis=0)
        return tf.where(self.members, self.rarity(score), -np.inf)

    def _kinds(self, values):
        """The scores of each kind `(kinds, batch, time, targets)`; 0 where too little precedes."""
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
        """Learns how rare scores are.

        Args:
            values: `(time, targets)`, none of them missing.
        """
        kinds = self._kinds(values[None]).numpy()[:, 0, LAGS + RECENT :]
        self.usual = np.maximum(np.quantile(kinds, 1 - _RARE, axis=1), 1e-6).astype(np.float32)
        self.rarity = Rarity([(kinds / self.usual[:, None]).max(0)], _TAIL)


def fit_cointegration(values: np.ndarray, scale: np.ndarray) -> Cointegration | None:
    """Learns how targets move together.

    Args:
        values: The targets `(time, targets)`, NaN where missing, for which the last one stands.
        scale: The size of forecasts' errors, `(targets,)`.

    Returns:
        The cointegration; `None` if no target is in one, or there are too few steps to tell.
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
    """The map with the least absolute errors, as values may have what is off, `(from, to)`."""
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
