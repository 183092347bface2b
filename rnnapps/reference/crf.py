"""The conditional random field: predicts tags jointly, with a sum over all tag sequences."""

from typing import NamedTuple

import numpy as np

from rnnapps.reference.initializers import glorot_uniform
from rnnapps.reference.layer import Array, Gradients, Layer


class CRFCache(NamedTuple):
    """What the backward pass needs from the forward pass."""

    tags: np.ndarray  # (batch, time)
    rows: list[np.ndarray]  # the unmasked steps of each row
    marginals: Array  # (batch, time, tags)
    pairs: Array  # (batch, tags, tags): expected transition counts


class CRF(Layer):
    """A linear chain over T steps: a path y[1..T] of tags has a score, and so a probability.

    With s[t, j] the inputs, A, b, e = transitions, start, end:

        score(y) = b[y[1]] + sum over t of s[t, y[t]] + sum over t of A[y[t-1], y[t]] + e[y[T]]
        p(y)     = exp(score(y)) / Z,     Z = sum over all paths of exp(score)

    There are tags^T paths, but each step depends only on the previous tag:

        alpha[1, j] = b[j] + s[1, j]
        alpha[t, j] = s[t, j] + log(sum over i of exp(alpha[t-1, i] + A[i, j]))
        beta[T, i]  = e[i]
        beta[t, i]  = log(sum over j of exp(A[i, j] + s[t+1, j] + beta[t+1, j]))
        log Z       = log(sum over i of exp(alpha[T, i] + e[i]))

    Masked steps are skipped; an empty row has one path, of score 0.

    Args:
        tags: Number of tags.
        seed: Seed, or generator, of the initial weights.

    Weights:
        transitions `(tags, tags)`, from row to column; start and end `(tags,)`.

    Reference:
        Lafferty et al., 2001, Conditional random fields: probabilistic models for segmenting and
            labeling sequence data.
        Rabiner, 1989, A tutorial on hidden Markov models, for the recursions.
    """

    def __init__(self, tags: int, seed: int | np.random.Generator = 0):
        self.tags = tags
        self.params = {
            "transitions": glorot_uniform((tags, tags), np.random.default_rng(seed)),
            "start": np.zeros(tags),
            "end": np.zeros(tags),
        }

    def forward(
        self, s: Array, tags: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[Array, CRFCache]:
        """Return the log-probability of each row's tags, of shape `(batch,)`, and a cache.

        Args:
            s: Scores of shape `(batch, time, tags)`.
            tags: Integers of shape `(batch, time)`.
            mask: Optional booleans of shape `(batch, time)`; False marks a step to skip.
        """
        A, b, e = self.params.values()
        rows = _rows(s, mask)
        log_p = np.zeros(len(s))
        marginals, pairs = np.zeros_like(s), np.zeros((len(s), self.tags, self.tags))
        for n, steps in enumerate(rows):
            if len(steps):
                log_z, marginals[n, steps], pairs[n] = self._expectations(s[n, steps])
                y = tags[n, steps]
                score = b[y[0]] + s[n, steps, y].sum() + A[y[:-1], y[1:]].sum() + e[y[-1]]
                log_p[n] = score - log_z
        return log_p, CRFCache(tags, rows, marginals, pairs)

    def backward(self, d_log_p: Array, cache: CRFCache) -> Gradients:
        """Return the gradients, given dL/d(log p) of shape `(batch,)`.

        The score's gradient is 1 for each score on the path. That of log Z is the expectation over
        all paths: the marginal probability of each tag, and the expected transition counts.

            d log p / d s[t, j] = [y[t] = j] - p(y[t] = j)
            d log p / d A[i, j] = (count of i, j in y) - (its expectation)
        """
        ds = -cache.marginals
        gradients = self.zero_gradients()
        for n, steps in enumerate(cache.rows):
            if len(steps):
                y = cache.tags[n, steps]
                ds[n, steps, y] += 1
                counted = np.zeros((self.tags, self.tags))
                np.add.at(counted, (y[:-1], y[1:]), 1)
                gradients["transitions"] += d_log_p[n] * (counted - cache.pairs[n])
                gradients["start"] += d_log_p[n] * ds[n, steps[0]]
                gradients["end"] += d_log_p[n] * ds[n, steps[-1]]
        return Gradients(d_log_p[:, None, None] * ds, gradients)

    def decode(self, s: Array, mask: np.ndarray | None = None) -> tuple[np.ndarray, Array]:
        """Return the best path of each row, `(batch, time)`, and its score, `(batch,)` (Viterbi).

            delta[t, j] = s[t, j] + max over i of (delta[t-1, i] + A[i, j])

        The tag of a masked step is 0.

        Args:
            s: Scores of shape `(batch, time, tags)`.
            mask: Optional booleans of shape `(batch, time)`; False marks a step to skip.
        """
        A, b, e = self.params.values()
        best, scores = np.zeros(s.shape[:2], int), np.zeros(len(s))
        for n, steps in enumerate(_rows(s, mask)):
            if not len(steps):
                continue
            delta, before = b + s[n, steps[0]], []
            for t in steps[1:]:
                into = delta[:, None] + A  # (from, to)
                before.append(into.argmax(axis=0))
                delta = s[n, t] + into.max(axis=0)
            tag = (delta + e).argmax()
            scores[n] = (delta + e).max()
            for t, came_from in zip(steps[::-1], [*before[::-1], None], strict=True):
                best[n, t] = tag
                tag = None if came_from is None else came_from[tag]
        return best, scores

    def _expectations(self, s: Array) -> tuple[float, Array, Array]:
        """Log Z of one row `(time, tags)`, the tag marginals, the expected transition counts."""
        A, b, e = self.params.values()
        alpha, beta = np.empty_like(s), np.empty_like(s)
        alpha[0], beta[-1] = b + s[0], e
        for t in range(1, len(s)):
            alpha[t] = s[t] + _log_sum_exp(alpha[t - 1, :, None] + A, axis=0)
        for t in range(len(s) - 2, -1, -1):
            beta[t] = _log_sum_exp(A + s[t + 1] + beta[t + 1], axis=1)
        log_z = _log_sum_exp(alpha[-1] + e, axis=0)
        marginals = np.exp(alpha + beta - log_z)
        into = (s + beta)[1:, None, :]  # (time - 1, 1, to)
        pairs = np.exp(alpha[:-1, :, None] + A + into - log_z).sum(axis=0)
        return float(log_z), marginals, pairs


def _rows(s: Array, mask: np.ndarray | None) -> list[np.ndarray]:
    mask = np.ones(s.shape[:2], bool) if mask is None else np.asarray(mask, bool)
    return [np.flatnonzero(row) for row in mask]


def _log_sum_exp(x: Array, axis: int) -> Array:
    largest = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - largest).sum(axis=axis)) + largest.squeeze(axis)
