"""Alarms at a rate calibrated on held-out errors: for single values, and for level shifts."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rnnapps.probabilistic.rarity import APART, Rarity, rolling

LAGS = 24  # maximum lags of the error filter, and maximum steps to detect a shift
RECENT = 168  # steps in the moving median of error sizes
DEPTH = RECENT + 2 * LAGS - 1 + APART  # earlier steps that affect whether a step is an alarm
_STRENGTHS = (3e-3, 3e-2, 0.3, 3.0, np.inf)  # of the filter's ridge penalty, per error
_NEARLY = 1.1  # a weaker ridge may have this multiple of the lowest loss
_WIDEST = 50  # approximate number of the filter's inputs
_FLOOR = 0.15  # weight of the typical error size in the normalization
_CLIP = 4.0  # maximum contribution of one step to a shift's score, in typical sizes
_ALONE = 0.7  # fraction of its size that a step scores before the next one is known
_LASTING = (3, 4, 6, 8, 12, 18, 24)  # window lengths for shift detection, in steps
_RARE = 0.01  # fraction of held-out steps that exceed 1 in each kind of score
_TAIL = 0.1  # fraction of held-out scores that the tail is fitted to


class Alarms:
    """Scores how surprising one-step errors are, calibrated on held-out data.

    A linear filter first subtracts from each error its prediction from other targets' errors at
    the same step and from all earlier errors. The residual is divided by a power of the forecast's
    spread and by a moving median of its size, and gets two kinds of scores: for a single outlier,
    which also pulls the next forecast; and, over the last 3, 4 ... 24 steps, for a level shift that
    forecasts follow. The contribution of each step to a shift's score is limited.

    The score is the largest, each in units of its held-out 99 % quantile. Alarms within 24 steps
    count as one. The surprise is the rate of such alarms that held-out scores would raise at this
    threshold, from an exponential tail fitted to the highest tenth.

    Args:
        scale: Divisor of errors, `(targets,)`.
        linear: The filter `(1 + lags, targets, targets)`, from this step and earlier ones.
        power: Exponent of the spread in the normalization, `(targets,)`.
        response: Errors after a permanent shift of 1, from its first step on,
            `(LAGS, shifted target, targets)`.

    Call arguments:
        errors: Observed minus one-step forecast, `(batch, time, targets)`; NaN where missing.
        spread: Width of the forecast relative to its typical width; same shape.

    Output:
        The surprise, `-log10` of the alarm rate per step, same shape; NaN where the error is. 3
        means one alarm in 1,000 steps.

    Reference:
        - [Willsky and Jones, 1976](https://doi.org/10.1109/TAC.1976.1101146), shifts by innovations
        - [Chen and Liu, 1993](https://doi.org/10.1080/01621459.1993.10594321), single values

    Example:
    >>> errors = np.random.default_rng(0).normal(size=(2000, 1))
    >>> alarms = fit_alarms([errors], [np.ones_like(errors)])
    >>> alarms(np.array([[[0.0], [9.0]]]), np.ones((1, 2, 1))).numpy()[0, :, 0] > 3
    array([False,  True])
    """

    def __init__(
        self, scale: np.ndarray, linear: np.ndarray, power: np.ndarray, response: np.ndarray
    ):
        self.scale, self.linear, self.power = scale, linear, power
        self.targets = targets = len(scale)
        paths = np.moveaxis(response, 1, 0)  # (shifted target, LAGS, targets)
        left = self._filtered(tf.constant(paths, tf.float32)).numpy()
        self.shape = left[np.arange(targets), :, np.arange(targets)].T  # (LAGS, targets)
        self.typical = np.ones(targets, np.float32)
        self.usual = np.ones((len(_LASTING) + 1, targets), np.float32)  # 99 % quantile of each kind
        self.rarity: Rarity  # of the largest score, set by `calibrate`

    def __call__(self, errors, spread):
        surprise = self.rarity(self._score(self._steady(self.left(errors, spread))))
        return tf.where(tf.math.is_finite(errors), surprise, np.nan)

    @property
    def steps(self) -> int:
        """Number of held-out steps."""
        return self.rarity.steps

    def left(self, errors, spread):
        """The filtered errors, divided by a power of the spread; 0 where missing."""
        known = tf.math.is_finite(errors)
        scaled = tf.where(known, errors / self.scale, tf.zeros_like(errors))
        left = self._filtered(tf.cast(scaled, tf.float32))
        left = left / tf.cast(spread, tf.float32) ** self.power
        return tf.where(known, left, 0)

    def _steady(self, left):
        """Errors divided by a mean of their recent and their typical size."""
        typical = tf.constant(self.typical)
        start = tf.broadcast_to(typical, (tf.shape(left)[0], RECENT, self.targets))
        sizes = tf.concat([start, tf.abs(left)[:, :-1]], axis=1)
        (median,) = rolling(sizes, RECENT, [0.5])
        return left / (_FLOOR * typical + (1 - _FLOOR) * median)

    def _filtered(self, scaled):
        """The residuals of the linear filter."""
        lags = len(self.linear) - 1
        padded = tf.pad(scaled, [[0, 0], [lags, 0], [0, 0]])
        kernel = tf.constant(self.linear[::-1], tf.float32)  # the last row is the current step
        return scaled - tf.nn.conv1d(padded, kernel, 1, "VALID")

    def _kinds(self, left):
        """The scores of each kind `(kinds, batch, time, targets)`."""
        before = tf.pad(left[:, :-1], [[0, 0], [1, 0], [0, 0]])
        pulled = self.shape[1] - 1  # effect of an outlier on the next error
        single = tf.abs(before + pulled * left) / np.sqrt(1 + pulled**2)
        kinds = [tf.maximum(single, _ALONE * tf.abs(left))]
        said = tf.pad(tf.clip_by_value(left, -_CLIP, _CLIP), [[0, 0], [LAGS - 1, 0], [0, 0]])
        for steps in _LASTING:
            shape = self.shape[:steps] / np.sqrt((self.shape[:steps] ** 2).sum(0))
            found = tf.nn.depthwise_conv2d(
                said[:, LAGS - steps :, None], shape[:, None, :, None], [1, 1, 1, 1], "VALID"
            )
            kinds.append(tf.abs(found[:, :, 0]))
        return tf.stack(kinds)

    def _score(self, left):
        return tf.reduce_max(self._kinds(left) / self.usual[:, None, None], axis=0)

    def calibrate(self, left: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> None:
        """Estimates from held-out errors how rare scores are.

        Args:
            left: The output of `left` for each stretch of time, `(time, targets)`.
            known: Which of them were observed.
        """
        sizes = [np.where(seen, np.abs(one), np.nan) for one, seen in zip(left, known, strict=True)]
        self.typical = np.nan_to_num(np.nanmedian(np.concatenate(sizes), axis=0))
        self.typical = np.maximum(self.typical, 1e-6).astype(np.float32)
        steady = [self._steady(tf.constant(one[None], tf.float32)) for one in left]
        kinds = [self._kinds(one).numpy()[:, 0] for one in steady]  # (kinds, time, targets)
        usual = np.quantile(np.concatenate(kinds, axis=1), 1 - _RARE, axis=1)
        self.usual = np.maximum(usual, 1e-6).astype(np.float32)
        self.rarity = Rarity([(one / self.usual[:, None]).max(0) for one in kinds], _TAIL)


def fit_alarms(
    errors: Sequence[np.ndarray], spread: Sequence[np.ndarray], response: np.ndarray | None = None
) -> Alarms:
    """Fits and calibrates alarms on held-out errors.

    Args:
        errors: For each series the one-step errors `(time, targets)`, NaN where missing.
        spread: The width of the forecasts, same shapes.
        response: Errors after a permanent shift of 1, in units of the errors' scale; see `Alarms`.
            `None` for forecasts that follow a shift after one step.

    Returns:
        The alarms.
    """
    targets = errors[0].shape[1]
    known = np.concatenate(errors)
    squares = np.nanmean(known**2, axis=0) if len(known) else np.ones(targets)
    scale = np.sqrt(np.where(squares > 0, squares, 1)).astype(np.float32)
    if response is None:
        response = np.zeros((LAGS, targets, targets))
        response[0] = np.eye(targets)
    halves = [
        _Regression([one[: len(one) // 2] for one in errors], scale),
        _Regression([one[len(one) // 2 :] for one in errors], scale),
    ]
    lost = sum(
        one.losses(other.solutions()) for one, other in zip(halves, halves[::-1], strict=True)
    )  # (strengths, targets)
    weakest = np.argmax(lost <= _NEARLY * lost.min(0), axis=0)  # it preserves shifts best
    linear = _Regression(errors, scale).chosen(weakest)
    alarms = Alarms(scale, linear, np.zeros(targets, np.float32), response)
    seen = [np.isfinite(one) for one in errors]
    left = [alarms.left(one[None], np.ones_like(one)[None]).numpy()[0] for one in errors]
    alarms.power = _power(np.concatenate(left), np.concatenate(spread), np.concatenate(seen))
    left = [one / width**alarms.power for one, width in zip(left, spread, strict=True)]
    alarms.calibrate(left, seen)
    return alarms


class _Regression:
    """Ridge regressions of each target's errors on other targets' and earlier errors.

    Args:
        stretches: Errors `(time, targets)`.
        scale: The scale of the errors.
    """

    def __init__(self, stretches: Sequence[np.ndarray], scale: np.ndarray):
        self.targets = targets = len(scale)
        self.lags = min(LAGS, max(1, _WIDEST // targets - 1))
        rows, truth = [], []
        for errors in stretches:
            scaled = np.nan_to_num(errors / scale)
            padded = np.concatenate([np.zeros((self.lags, targets)), scaled])
            shifted = [padded[self.lags - k : len(padded) - k] for k in range(self.lags + 1)]
            rows.append(np.concatenate(shifted, axis=1))  # (time, (1 + lags) * targets)
            truth.append(scaled)
        self.rows, self.truth = np.concatenate(rows), np.concatenate(truth)

    def solutions(self) -> np.ndarray:
        """The coefficients, `(strengths, targets, (1 + lags) * targets)`."""
        clipped = np.clip(self.rows, -4, 4)
        products, count = clipped.T @ clipped, max(1, len(clipped))
        found = np.zeros((len(_STRENGTHS), self.targets, clipped.shape[1]))
        for target in range(self.targets):
            kept = np.arange(clipped.shape[1]) != target  # not the target itself
            inner, outer = products[kept][:, kept], products[kept, target]
            for i, strength in enumerate(_STRENGTHS[:-1]):  # zeros for the last
                ridge = inner + strength * count * np.eye(len(inner))
                found[i, target, kept] = np.linalg.solve(ridge, outer)
        return found

    def losses(self, solutions: np.ndarray) -> np.ndarray:
        """The median absolute error of each regression, `(strengths, targets)`."""
        if not len(self.rows):
            return np.zeros((len(solutions), self.targets))
        return np.stack([np.median(np.abs(self.truth - self.rows @ m.T), 0) for m in solutions])

    def chosen(self, best: np.ndarray) -> np.ndarray:
        """The filter with these strengths, `(1 + lags, targets, targets)`."""
        maps = self.solutions()[best, np.arange(self.targets)]  # (to, from)
        return maps.T.reshape(1 + self.lags, self.targets, self.targets)


def _power(left: np.ndarray, spread: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The exponent of the spread with the highest Laplace likelihood of errors."""
    powers = np.array([0.0, 0.5, 1.0])
    losses = []
    for power in powers:
        size = np.where(known, np.abs(left) / spread**power, np.nan)
        losses.append(np.log(np.nanmean(size, 0) + 1e-12) + power * np.mean(np.log(spread), 0))
    return powers[np.argmin(losses, axis=0)].astype(np.float32)
