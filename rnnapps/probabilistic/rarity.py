"""How rare a score is on held-out data, and when it raises an alarm."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

APART = 24  # alarms within this many steps count as one


class Rarity:
    """The alarm rate of held-out data at a score.

    Alarms within 24 steps count as one. Higher scores follow an exponential tail.

    Args:
        scores: The held-out scores of each stretch of time `(time, targets)`.
        share: Fraction of scores, the highest, that the tail is fitted to.

    Call arguments:
        score: `(batch, time, targets)`.

    Output:
        The surprise, `-log10` of the alarm rate per step, same shape.

    Reference:
        - [Leadbetter, 1991](https://doi.org/10.1016/0167-7152(91)90107-3), peaks over a threshold

    Example:
    >>> held = np.random.default_rng(0).exponential(size=(5000, 1))
    >>> rarity = Rarity([held], 0.1)
    >>> rarity(np.array([[[3.0], [12.0]]])).numpy()[0, :, 0] > 3
    array([False,  True])
    """

    def __init__(self, scores: Sequence[np.ndarray], share: float):
        targets = scores[0].shape[1]
        self.steps = sum(map(len, scores))
        start = np.quantile(np.concatenate(scores), 1 - share, axis=0)
        self.start = start.astype(np.float32)  # where the tail begins
        self.tail = np.ones(targets, np.float32)  # its decay: the rate falls by e per unit
        self.rate = np.ones(targets, np.float32)  # alarms per step at its start
        for target, start in enumerate(self.start):
            peaks = np.concatenate([_peaks(one[:, target], start) for one in scores])
            if len(peaks):  # the median, as held-out data may have anomalies
                self.tail[target] = max(np.median(peaks - start) / np.log(2), 1e-6)
                self.rate[target] = len(peaks) / self.steps

    def __call__(self, score):
        surprise = (tf.cast(score, tf.float32) - self.start) / self.tail - np.log(self.rate)
        return surprise / np.log(10.0).astype(np.float32)


def _peaks(scores: np.ndarray, start: float) -> np.ndarray:
    """The maximum of each run of scores over `start`; runs are more than APART steps apart."""
    over = np.flatnonzero(scores > start)
    runs = np.split(over, np.flatnonzero(np.diff(over) > APART) + 1) if len(over) else []
    return np.array([scores[run].max() for run in runs])


def raised(score, threshold: float):
    """Alarms: steps that reach the threshold after APART steps below it.

    Args:
        score: `(batch, time, targets)`, NaN where missing.
        threshold: The minimum score of an alarm.

    Returns:
        Booleans of the same shape.

    Example:
    >>> score = np.zeros((1, 30, 1), "float32")
    >>> score[0, [2, 3, 28]] = 5
    >>> np.flatnonzero(raised(score, 3.0))
    array([ 2, 28])
    """
    over = score >= threshold
    counts = tf.cumsum(tf.cast(tf.pad(over, [[0, 0], [APART, 0], [0, 0]]), tf.int32), 1, True)
    return over & (counts[:, APART:] == counts[:, :-APART])


def rolling(values, steps: int, quantiles: Sequence[float]) -> list:
    """Moving quantiles over the last `steps` values.

    Args:
        values: `(batch, steps - 1 + time, targets)`.
        steps: Window length.
        quantiles: Levels of the quantiles.

    Returns:
        For each quantile `(batch, time, targets)`.
    """
    found = []
    for one in tf.unstack(values, axis=2):  # one target at a time, to save memory
        ordered = tf.sort(tf.signal.frame(one, steps, 1, axis=1), axis=2)
        found.append([ordered[:, :, int(steps * share)] for share in quantiles])
    return [tf.stack(each, axis=2) for each in zip(*found, strict=True)]
