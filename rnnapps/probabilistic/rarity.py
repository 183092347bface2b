"""How rare a score is among held-out ones, and when that raises an alarm."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

APART = 24  # steps; alarms that are closer to each other are one


class Rarity:
    """How rarely held-out data raises an alarm at a score.

    Alarms within 24 steps are one. Beyond the scores that were asked for an exponential tail says
    how much rarer higher ones are.

    Args:
        scores: For each stretch of held-out time the scores `(time, targets)`.
        share: Of the scores, the highest, that say how fast higher ones become rare.

    Call arguments:
        score: `(batch, time, targets)`.

    Output:
        The surprise, `-log10` of alarms a step, of the same shape.

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
        self.start = start.astype(np.float32)  # the score from which on the tail goes
        self.tail = np.ones(targets, np.float32)  # by as much more it grows e times rarer
        self.rate = np.ones(targets, np.float32)  # alarms a step at its start
        for target, start in enumerate(self.start):
            peaks = np.concatenate([_peaks(one[:, target], start) for one in scores])
            if len(peaks):  # their median, as held-out data may have what is off, too
                self.tail[target] = max(np.median(peaks - start) / np.log(2), 1e-6)
                self.rate[target] = len(peaks) / self.steps

    def __call__(self, score):
        surprise = (tf.cast(score, tf.float32) - self.start) / self.tail - np.log(self.rate)
        return surprise / np.log(10.0).astype(np.float32)


def _peaks(scores: np.ndarray, start: float) -> np.ndarray:
    """The highest score of each run of those over `start`, APART steps between two runs."""
    over = np.flatnonzero(scores > start)
    runs = np.split(over, np.flatnonzero(np.diff(over) > APART) + 1) if len(over) else []
    return np.array([scores[run].max() for run in runs])


def raised(score, threshold: float):
    """Where an alarm is raised: at the first step over a threshold after APART that are not.

    Args:
        score: `(batch, time, targets)`, NaN where missing.
        threshold: The least score of an alarm.

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
    """Quantiles of as many steps up to each one but the first, which are given before.

    Args:
        values: `(batch, steps - 1 + time, targets)`.
        steps: How many.
        quantiles: Shares of them that are below.

    Returns:
        For each quantile `(batch, time, targets)`.
    """
    found = []
    for one in tf.unstack(values, axis=2):  # one target at a time, for memory's sake
        ordered = tf.sort(tf.signal.frame(one, steps, 1, axis=1), axis=2)
        found.append([ordered[:, :, int(steps * share)] for share in quantiles])
    return [tf.stack(each, axis=2) for each in zip(*found, strict=True)]
