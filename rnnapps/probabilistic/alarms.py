"""Alarms at a rate that held-out errors promise: values that are off, and shifts that stay."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

LAGS = 24  # steps that the filter of errors looks back, at most; within as many a shift is found
RECENT = 72  # steps whose median says how large errors are of late
DEPTH = RECENT + 2 * LAGS - 1  # steps before one that have a say in its score
_STRENGTHS = (3e-3, 3e-2, 0.3, 3.0, np.inf)  # of the filter's ridge, for each error
_WIDEST = 50  # numbers, about, that the filter tells an error by
_RARE = 0.005  # share of held-out steps that exceeds 1 in each kind of score
_FLOOR = 0.15  # share of the usual size in what errors are divided by


class Alarms:
    """How surprising one-step errors are, by those of held-out data.

    An error first loses what other errors say of it, those of the other targets at its step and all
    of the steps before, by a linear map. What is left, in units of the forecast's spread where that
    helps, and of its size of late, gets three scores: how large it is; how well it and those before
    it look like a shift of the level that began up to 24 steps ago, as long as each step makes that
    likelier; and how fully the forecast has just been pulled after a single value that was off.

    The largest counts. Its conformal p-value is the share of held-out scores that are as large,
    each by the map of the other half. Beyond the largest of them an exponential tail goes on.

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
        The surprise `-log10(p)` of the same shape, NaN where the error is: 3 stands for one in
        1,000 steps.

    Reference:
        - [Vovk et al., 2005](https://doi.org/10.1007/b106715), conformal p-values
        - [Vovk, 2015](https://arxiv.org/abs/1208.0806), of all halves together
        - [Willsky and Jones, 1976](https://doi.org/10.1109/TAC.1976.1101146), shifts by innovations

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
        shape = left[np.arange(targets), :, np.arange(targets)]  # (targets, LAGS)
        shifts = np.zeros((LAGS, 1, targets, LAGS), np.float32)  # the last axis: when it began
        for steps in range(1, LAGS + 1):  # of which the shift has lasted
            size = np.sqrt((shape[:, :steps] ** 2).sum(1, keepdims=True))
            shifts[LAGS - steps :, 0, :, steps - 1] = (shape[:, :steps] / size).T
        self.shifts = shifts
        self.back = np.where(shape[:, 1] < 0.8, 1 - shape[:, 1], np.inf).astype(np.float32)
        self.typical = np.ones(targets, np.float32)
        self.usual = np.ones((3, targets), np.float32)  # what each kind of score is divided by
        self.held = np.ones((targets, 1), np.float32)  # ascending
        self.tail = np.ones(targets, np.float32)

    @property
    def rarest(self) -> float:
        """The smallest p-value that held-out scores can give."""
        return 1 / (1 + self.held.shape[1])

    def __call__(self, errors, spread):
        known = tf.math.is_finite(errors)
        score = self._score(self._steady(self.left(errors, spread)))
        flat = tf.transpose(tf.reshape(score, (-1, self.targets)))  # (targets, batch * time)
        count, largest = self.held.shape[1], self.held[:, -1:]
        below = tf.searchsorted(tf.constant(self.held), flat, side="left")
        share = tf.cast(1 + count - below, tf.float32) / (1 + count)
        beyond = tf.maximum(flat - largest, 0) / self.tail[:, None]
        surprise = (beyond - tf.math.log(share)) / np.log(10.0).astype(np.float32)
        surprise = tf.reshape(tf.transpose(surprise), tf.shape(score))
        return tf.where(known, surprise, np.nan)

    def left(self, errors, spread):
        """What others don't say of each error, in units of the spread; 0 where it is missing."""
        known = tf.math.is_finite(errors)
        scaled = tf.where(known, errors / self.scale, tf.zeros_like(errors))
        left = self._filtered(tf.cast(scaled, tf.float32))
        left = left / tf.cast(spread, tf.float32) ** self.power
        return tf.where(known, left, 0)

    def _steady(self, left):
        """Errors in units of what their size has been of late, as far as that is unusual."""
        size, typical = tf.abs(left), tf.constant(self.typical)
        start = tf.broadcast_to(typical, (tf.shape(left)[0], RECENT, self.targets))
        recent = tf.signal.frame(tf.concat([start, size[:, :-1]], axis=1), RECENT, 1, axis=1)
        median = tf.sort(recent, axis=2)[:, :, RECENT // 2]  # of (batch, time, RECENT, targets)
        return left * typical / (_FLOOR * typical + (1 - _FLOOR) * median)

    def _filtered(self, scaled):
        """What the linear map does not say of scaled errors."""
        lags = len(self.linear) - 1
        padded = tf.pad(scaled, [[0, 0], [lags, 0], [0, 0]])
        kernel = tf.constant(self.linear[::-1], tf.float32)  # the last one is for this step
        return scaled - tf.nn.conv1d(padded, kernel, 1, "VALID")

    def _kinds(self, left):
        """The three scores `(3, batch, time, targets)`."""
        padded = tf.pad(left, [[0, 0], [LAGS - 1, 0], [0, 0]])[:, :, None]
        found = tf.nn.depthwise_conv2d(padded, self.shifts, [1, 1, 1, 1], "VALID")
        found = tf.abs(tf.reshape(found, (*tf.unstack(tf.shape(left)), LAGS)))
        before = tf.pad(found[:, :-1, :, :-1], [[0, 0], [1, 0], [0, 0], [1, 0]])
        found = tf.where(found > 1.001 * before, found, 0)  # this step speaks for it, too
        # A single value that is off pulls the next forecast, which is then off the other way.
        was = tf.pad(left[:, :-1], [[0, 0], [1, 0], [0, 0]])
        back = tf.minimum(was * tf.sign(was), -left * tf.sign(was) / self.back)
        return tf.stack([tf.abs(left), tf.reduce_max(found, axis=-1), tf.maximum(back, 0)])

    def _score(self, left):
        return tf.reduce_max(self._kinds(left) / self.usual[:, None, None], axis=0)

    def calibrate(self, left: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> None:
        """Keeps the scores of held-out errors.

        Args:
            left: For each stretch of time what `left` gave, `(time, targets)`.
            known: Which of them were observed.
        """
        seen = np.concatenate(known)
        sizes = np.where(seen, np.abs(np.concatenate(left)), np.nan)
        self.typical = np.maximum(np.nanmedian(sizes, axis=0), 1e-6).astype(np.float32)
        steady = [self._steady(tf.constant(one[None], tf.float32)) for one in left]
        kinds = [self._kinds(one).numpy()[:, 0] for one in steady]
        kinds = np.where(seen, np.concatenate(kinds, axis=1), np.nan)  # (kinds, steps, targets)
        kinds = kinds[:, seen.all(1)] if seen.all(1).any() else np.nan_to_num(kinds)
        usual = np.quantile(kinds, 1 - _RARE, axis=1)
        self.usual = np.maximum(usual, 1e-6).astype(np.float32)
        held = np.sort((kinds / self.usual[:, None]).max(0), axis=0)
        self.held = np.ascontiguousarray(held.T, np.float32)  # (targets, steps)
        top = self.held[:, -max(1, held.shape[0] // 10) :]
        self.tail = np.maximum((top - top[:, :1]).mean(1), 1e-3)


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
    halves: list[list] = [[], []]
    for one, width in zip(errors, spread, strict=True):
        middle = len(one) // 2
        halves[0].append((one[:middle], width[:middle]))
        halves[1].append((one[middle:], width[middle:]))
    maps = [_Regression(half, scale) for half in halves]
    lost = sum(
        one.losses(other.solutions()) for one, other in zip(maps, maps[::-1], strict=True)
    )  # (strengths, targets)
    best = np.argmin(lost, axis=0)
    power = np.zeros(targets, np.float32)
    left, seen, widths = [], [], []
    for half, other in zip(halves, maps[::-1], strict=True):
        alarms = Alarms(scale, other.chosen(best), power, response)
        for one, width in half:
            if len(one):
                left.append(alarms.left(one[None], np.ones_like(width)[None]).numpy()[0])
                seen.append(np.isfinite(one))
                widths.append(width)
    power = _power(np.concatenate(left), np.concatenate(widths), np.concatenate(seen))
    whole = _Regression([*halves[0], *halves[1]], scale)
    alarms = Alarms(scale, whole.chosen(best), power, response)
    left = [one / width**power for one, width in zip(left, widths, strict=True)]
    alarms.calibrate(left, seen)
    return alarms


class _Regression:
    """Linear maps to each target's errors, from those of others and of steps before.

    Args:
        stretches: Errors `(time, targets)`, each with its spread.
        scale: The errors' scale.
    """

    def __init__(self, stretches: Sequence[tuple[np.ndarray, np.ndarray]], scale: np.ndarray):
        self.targets = targets = len(scale)
        self.lags = min(LAGS, max(1, _WIDEST // targets - 1))
        rows, truth = [], []
        for errors, _ in stretches:
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
        """The absolute error of each map, `(strengths, targets)`."""
        return np.stack([np.abs(self.truth - self.rows @ one.T).sum(0) for one in solutions])

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
        losses.append(np.log(np.nanmean(size, 0) + 1e-12) + power * np.nanmean(np.log(spread), 0))
    return powers[np.argmin(losses, axis=0)].astype(np.float32)
