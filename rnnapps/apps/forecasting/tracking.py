"""Intervals that follow what has come true."""

import collections
from collections.abc import Sequence

import numpy as np

RATE = 0.02  # of the width, how much wider a value outside makes an interval


class Tracker:
    """Makes one series' intervals wider or narrower from origin to origin.

    A calibration of long ago is wrong where the series has calmed down since, or become wilder. For
    each step of the horizon, target and interval there is a factor of the distance from the point
    to the interval's ends, 1 at first. When a forecast comes true,

        factor += RATE * (missed - alpha)

    where `missed` is 1 if the value lay outside, else 0, and `alpha` the share that should. In the
    long run that share does lie outside, whatever the series does. An origin's intervals hang on
    values before it alone.

    Args:
        levels: The quantiles' levels, in pairs around 0.5.
        stride: Steps between origins.
        lower: For each target what no quantile goes below; `None` for no bound.

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
        self._past: collections.deque = collections.deque()  # what missed, of the last origins

    def next(self, truth: np.ndarray, point: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
        """The intervals at the next origin.

        Args:
            truth: What came true, `(horizon, targets)`, NaN where missing: later origins see it.
            point: The point forecast, `(horizon, targets)`.
            quantiles: The quantiles `(horizon, targets, levels)`.

        Returns:
            The quantiles with intervals that are as wide as they should have been.
        """
        if self._factors is None:
            self._factors = np.ones((*point.shape, self.pairs))
            self._past = collections.deque(maxlen=-(-len(point) // self.stride))
        for ago, missed in enumerate(reversed(self._past), 1):  # origins before this one
            came = slice((ago - 1) * self.stride, ago * self.stride)  # since the last origin
            change = RATE * (missed[came] - self.alphas)
            self._factors[came] += np.nan_to_num(change)
        self._factors = np.maximum(self._factors, 0)

        low = high = point
        made = quantiles.copy()
        missed = np.empty_like(self._factors)
        for pair in reversed(range(self.pairs)):  # from the inside outwards
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
