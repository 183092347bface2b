"""Alarms at a rate calibrated on held-out errors: for single values, and for level shifts."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rnnapps.probabilistic.rarity import APART, Rarity, rolling

LAGS = 24  # steps that the filter of errors looks back, at most; within as many a shift is found
RECENT = 168  # steps whose median says how large errors are of late
DEPTH = RECENT + 2 * LAGS - 1 + APART  # steps before one that have a say in whether it is an alarm
_STRENGTHS = (3e-3, 3e-2, 0.3, 3.0, np.inf)  # of the filter's ridge, for each error
_NEARLY = 1.1  # times the least loss a weaker ridge may have
_WIDEST = 50  # numbers, about, that the filter tells an error by
_FLOOR = 0.15  # share of the usual size in what errors are divided by
_CLIP = 4.0  # usual sizes that one step may say for a shift, at most
_ALONE = 0.7  # of its size is the score of a step whose next one is not known yet
_LASTING = (3, 4, 6, 8, 12, 18, 24)  # steps for which shifts are looked for
_RARE = 0.01  # share of held-out steps that exceeds 1 in each kind of score
_TAIL = 0.1  # share of held-out scores that says how fast higher ones become rare


class Alarms:
    """How surprising one-step errors are, by those of held-out data.

    An error first loses what other errors say of it, those of the other targets at its step and all
    of the steps before, by a linear map. What is left, in units of the forecast's spread where that
    helps, and of its size of late, gets scores: how large it is, and how well it and the one before
    look like a single value that was off, and pulled the next forecast; and how well those of the
    last 3, 4 ... 24 steps look like a shift of the level, which forecasts follow. No step has more
    than a limited say for a shift.

    The largest score counts, each in units of what is rare in held-out errors. Alarms within 24
    steps are one: the surprise says how many of those a step held-out scores would raise from this
    one on, and beyond the highest tenth of them an exponential tail.

    Args:
        scale: What errors are divided by, `(targets,)`.
        linear: The map `(1 + lags, targets, targets)`, from this step and those before.
        power: Of the spread, by which errors are divided, `(targets,)`.
        response: What a lasting shift of 1 leaves of errors, from its first step on,
            `(LAGS, shifted target, targets)`.

    Call arguments:
        errors: Observed less forecast one step ahead, `(batch, time, targets)`; NaN where missing.
        spread: How wide the forecast was, as a share of what is usual; of the same shape.

    Output:
        The surprise, `-log10` of alarms a step, of the same shape; NaN where the error is. 3 stands
        for one in 1,000 steps.

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
        self.usual = np.ones((len(_LASTING) + 1, targets), np.float32)  # what is rare in each kind
        self.rarity: Rarity  # of the largest score; `calibrate`

    def __call__(self, errors, spread):
        surprise = self.rarity(self._score(self._steady(self.left(errors, spread))))
        return tf.where(tf.math.is_finite(errors), surprise, np.nan)

    @property
    def steps(self) -> int:
        """How many were held out."""
        return self.rarity.steps

    def left(self, errors, spread):
        """What others don't say of each error, in units of the spread; 0 where it is missing."""
        known = tf.math.is_finite(errors)
        scaled = tf.where(known, errors / self.scale, tf.zeros_like(errors))
        left = self._filtered(tf.cast(scaled, tf.float32))
        left = left / tf.cast(spread, tf.float32) ** self.power
        return tf.where(known, left, 0)

    def _steady(self, left):
        """Errors in units of what their size has been of late, and partly of what it is usually."""
        typical = tf.constant(self.typical)
        start = tf.broadcast_to(typical, (tf.shape(left)[0], RECENT, self.targets))
        sizes = tf.concat([start, tf.abs(left)[:, :-1]], axis=1)
        (median,) = rolling(sizes, RECENT, [0.5])
        return left / (_FLOOR * typical + (1 - _FLOOR) * median)

    def _filtered(self, scaled):
        """What the linear map does not say of scaled errors."""
        lags = len(self.linear) - 1
        padded = tf.pad(scaled, [[0, 0], [lags, 0], [0, 0]])
        kernel = tf.constant(self.linear[::-1], tf.float32)  # the last one is for this step
        return scaled - tf.nn.conv1d(padded, kernel, 1, "VALID")

    def _kinds(self, left):
        """The scores of each kind `(kinds, batch, time, targets)`."""
        before = tf.pad(left[:, :-1], [[0, 0], [1, 0], [0, 0]])
        pulled = self.shape[1] - 1  # what a single value that was off leaves of the next error
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
        """Learns from held-out errors how rare scores are.

        Args:
            left: For each stretch of time what `left` gave, `(time, targets)`.
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
        spread: How wide the forecasts were, of the same shapes.
        response: What a lasting shift of 1 leaves of errors, in units of the errors' scale; see
            `Alarms`. `None` for forecasts that follow it after a step.

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
    weakest = np.argmax(lost <= _NEARLY * lost.min(0), axis=0)  # a shift stands out most from it
    linear = _Regression(errors, scale).chosen(weakest)
    alarms = Alarms(scale, linear, np.zeros(targets, np.float32), response)
    seen = [np.isfinite(one) for one in errors]
    left = [alarms.left(one[None], np.ones_like(one)[None]).numpy()[0] for one in errors]
    alarms.power = _power(np.concatenate(left), np.concatenate(spread), np.concatenate(seen))
    left = [one / width**alarms.power for one, width in zip(left, spread, strict=True)]
    alarms.calibrate(left, seen)
    return alarms


class _Regression:
    """Linear maps to each target's errors, from those of others and of steps before.

    Args:
        stretches: Errors `(time, targets)`.
        scale: The errors' scale.
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
        """For each strength and target its map, `(strengths, targets, (1 + lags) * targets)`."""
        clipped = np.clip(self.rows, -4, 4)
        products, count = clipped.T @ clipped, max(1, len(clipped))
        found = np.zeros((len(_STRENGTHS), self.targets, clipped.shape[1]))
        for target in range(self.targets):
            kept = np.arange(clipped.shape[1]) != target  # not by itself
            inner, outer = products[kept][:, kept], products[kept, target]
            for i, strength in enumerate(_STRENGTHS[:-1]):  # the last one leaves it all zero
                ridge = inner + strength * count * np.eye(len(inner))
                found[i, target, kept] = np.linalg.solve(ridge, outer)
        return found

    def losses(self, solutions: np.ndarray) -> np.ndarray:
        """The median absolute error of each map, `(strengths, targets)`."""
        if not len(self.rows):
            return np.zeros((len(solutions), self.targets))
        return np.stack([np.median(np.abs(self.truth - self.rows @ m.T), 0) for m in solutions])

    def chosen(self, best: np.ndarray) -> np.ndarray:
        """The maps of these strengths, `(1 + lags, targets, targets)`."""
        maps = self.solutions()[best, np.arange(self.targets)]  # (to, from)
        return maps.T.reshape(1 + self.lags, self.targets, self.targets)


def _power(left: np.ndarray, spread: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How much of the spread errors should be divided by: what makes them likeliest (Laplace)."""
    powers = np.array([0.0, 0.5, 1.0])
    losses = []
    for power in powers:
        size = np.where(known, np.abs(left) / spread**power, np.nan)
        losses.append(np.log(np.nanmean(size, 0) + 1e-12) + power * np.mean(np.log(spread), 0))
    return powers[np.argmin(losses, axis=0)].astype(np.float32)
