"""Conformal intervals: calibrated on held-out data, adapted as values arrive."""

import collections
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

RATE = 0.02  # learning rate of an interval's width factor
_FEW = 100  # with fewer windows, all steps of the horizon share a margin


@keras.saving.register_keras_serializable("rnnapps")
class ConformalCalibration(keras.layers.Layer):
    """Widens or narrows quantile intervals by margins calibrated on held-out data.

    The margin of an interval is the quantile, at the interval's level, of how far held-out values
    are outside it; negative for values inside, then as a fraction of its width. Each target and
    each step of the horizon has its own. Too narrow intervals are widened by an amount; too wide
    ones lose a fraction of their width, since an amount would collapse intervals of unusual
    windows. Intervals stay nested and contain the point.

    Args:
        levels: The quantile levels.
        relative: Whether intervals narrow by a fraction, not by an amount as in version 0.1.0.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        answer: Point and quantiles `(batch, horizon, targets, 1 + levels)`.

    Output:
        The calibrated point and quantiles, same shape.

    Reference:
        - [Romano et al., 2019](https://arxiv.org/abs/1905.03222), conformalized quantile regression
        - [Sesia and Candès, 2020](https://arxiv.org/abs/1909.05433), margins relative to the width
    """

    def __init__(self, levels: Sequence[float], relative: bool = True, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.levels, self.relative = tuple(levels), relative

    def build(self, answer_shape):
        shape = (*answer_shape[1:3], len(self.levels) // 2)
        self.margins = self.add_weight(shape, "zeros", name="margins")

    def call(self, answer):
        point, pairs = answer[..., 0], len(self.levels) // 2
        low = high = point
        lows, highs = [], []
        for pair in reversed(range(pairs)):  # from the innermost outwards
            below, above = answer[..., 1 + pair], answer[..., len(self.levels) - pair]
            margin = self.margins[..., pair]
            if self.relative:
                margin = tf.where(margin < 0, margin * (above - below), margin)
            low, high = tf.minimum(low, below - margin), tf.maximum(high, above + margin)
            lows, highs = [low, *lows], [*highs, high]
        middle = [answer[..., 1 + pairs]] if len(self.levels) % 2 else []
        middle = [tf.clip_by_value(one, lows[-1], highs[0]) for one in middle] if pairs else middle
        return tf.stack([point, *lows, *middle, *highs], axis=-1)

    def adapt(self, truth: np.ndarray, answer: np.ndarray) -> None:
        """Computes the margins.

        Args:
            truth: Held-out values `(windows, horizon, targets)`, NaN where missing.
            answer: Their forecasts, `(windows, horizon, targets, 1 + levels)`.
        """
        margins = np.zeros(self.margins.shape, np.float32)
        for pair, level in enumerate(self.levels[: len(self.levels) // 2]):
            low, high = answer[..., 1 + pair], answer[..., len(self.levels) - pair]
            outside = np.maximum(low - truth, truth - high)
            if self.relative:  # a value inside implies a positive width
                outside /= np.where(outside < 0, high - low, 1)
            for target in range(truth.shape[2]):
                scores = outside[:, :, target]
                if len(truth) < _FEW:
                    margins[:, target, pair] = _margin(scores.ravel(), 1 - 2 * level)
                else:
                    margins[:, target, pair] = [_margin(s, 1 - 2 * level) for s in scores.T]
        self.margins.assign(margins)

    def get_config(self):
        return {"name": self.name, "levels": list(self.levels), "relative": self.relative}


def _margin(scores: np.ndarray, share: float) -> float:
    """The conformal quantile: that of level `share` among `n + 1` scores."""
    scores = np.sort(scores[np.isfinite(scores)])
    if not len(scores):
        return 0.0
    rank = min(len(scores), int(np.ceil((len(scores) + 1) * share)))
    return float(scores[rank - 1])


class AdaptiveConformal:
    """Adapts the intervals of one series from origin to origin.

    An old calibration is wrong if the series' volatility has changed since. For each step of the
    horizon, target and interval, the distance from the point to the interval's ends is multiplied
    by a factor, initially 1. When a value is observed,

        factor += RATE * (missed - alpha)

    where `missed` is 1 if the value was outside, else 0, and `alpha` is the nominal miss rate. The
    long-run miss rate converges to `alpha` for any series. The intervals of an origin depend only
    on values before it.

    Args:
        levels: The quantile levels, in pairs around 0.5.
        stride: Steps between origins.
        lower: Lower bound of each target's quantiles; `None` for no bound.

    Reference:
        - [Gibbs and Candès, 2021](https://arxiv.org/abs/2106.00672)
        - [Angelopoulos et al., 2023](https://arxiv.org/abs/2307.16895)
    """

    def __init__(
        self,
        levels: Sequence[float],
        stride: int = 1,
        lower: Sequence[float | None] = (),
    ):
        self.pairs = len(levels) // 2
        self.alphas = 2 * np.array(levels[: self.pairs])
        self.stride = stride
        self.lower = np.array([-np.inf if one is None else one for one in lower or [None]])
        self._factors: np.ndarray | None = None  # (horizon, targets, pairs)
        self._past: collections.deque = collections.deque()  # misses of the last origins

    def next(self, truth: np.ndarray, point: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
        """The intervals at the next origin.

        Args:
            truth: The observed values, `(horizon, targets)`, NaN where missing; used only at later
                origins.
            point: The point forecast, `(horizon, targets)`.
            quantiles: The quantiles `(horizon, targets, levels)`.

        Returns:
            The quantiles with adapted intervals.
        """
        if self._factors is None:
            self._factors = np.ones((*point.shape, self.pairs))
            self._past = collections.deque(maxlen=-(-len(point) // self.stride))
        for ago, missed in enumerate(reversed(self._past), 1):  # origins before this one
            known = slice((ago - 1) * self.stride, ago * self.stride)  # since the last origin
            change = RATE * (missed[known] - self.alphas)
            self._factors[known] += np.nan_to_num(change)
        self._factors = np.maximum(self._factors, 0)

        low = high = point
        made = quantiles.copy()
        missed = np.empty_like(self._factors)
        for pair in reversed(range(self.pairs)):  # from the innermost outwards
            factor = self._factors[..., pair]
            low = np.minimum(low, point - factor * (point - quantiles[..., pair]))
            low = np.maximum(low, self.lower)
            high = np.maximum(high, point + factor * (quantiles[..., -1 - pair] - point))
            made[..., pair], made[..., -1 - pair] = low, high
            missed[..., pair] = (truth < low) | (truth > high)
        missed[np.isnan(truth)] = np.nan
        self._past.append(missed)
        if quantiles.shape[-1] % 2 and self.pairs:
            middle = made[..., self.pairs]
            inner = made[..., self.pairs - 1], made[..., self.pairs + 1]
            made[..., self.pairs] = np.clip(middle, *inner)
        return made
