"""A linear classifier over the n-grams of a text."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy.sparse
import scipy.special
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from rnnapps.text.tokenizer import PADDING

_PRIME = 1_000_003
_BITS = 40  # of a hash; int64 holds its product with the prime
_CHECKS = 255  # check values that distinguish the n-grams of a bucket
_MOST = 2**23  # tokens whose n-grams are counted: the solver needs a gigabyte
_MOST_HELD = 2**21  # tokens of held-out texts that choose the regularization
_STRENGTHS = (0.1, 0.2, 0.5, 1.0)  # smaller is better for long texts, larger for short ones


def one_in(ids: tf.RaggedTensor, most: int = _MOST) -> int:
    """The subsampling step: n-grams are counted in every `one_in(ids)`-th text.

    Args:
        ids: Ids, ragged `(texts, time)`.
        most: Tokens.

    Returns:
        The smallest step that leaves at most so many tokens, by default eight million.
    """
    return max(1, -(-int(ids.flat_values.shape[0]) // most))


def naive_bayes_ratios(seen: scipy.sparse.csr_matrix, mine: np.ndarray) -> np.ndarray:
    """The naive Bayes log-count ratio of each n-gram: one class against the rest.

    Args:
        seen: The n-grams of each text `(texts, grams)`.
        mine: bool `(texts,)`, which texts belong to the class.

    Returns:
        The ratios `(grams,)`, smoothed by one text over the n-grams that occur.
    """
    inside, outside = (1 + np.asarray(seen[rows].sum(0))[0] for rows in (mine, ~mine))
    held = inside + outside > 2
    return np.log(inside / inside[held].sum()) - np.log(outside / outside[held].sum())


@keras.saving.register_keras_serializable("rnnapps")
class NGramClassifier(keras.layers.Layer):
    """Logistic regression on hashed n-grams, scaled by their naive Bayes log-count ratios.

    `adapt` solves the convex problem once; the weights are not trained by gradient descent. An
    n-gram counts once per text. Each bucket belongs to its most frequent n-gram; if there is not
    enough room, n-grams that occur in only one text get none.

    Args:
        classes: Number of classes.
        n: Longest n-gram, in tokens.
        bits: N-grams are hashed into `2**bits` buckets.
        strength: Inverse strength of the L2 regularization, unless `adapt` chooses it.
        checked: Whether to ignore n-grams that were never counted; if not, all n-grams of a bucket
            share it, as in version 0.1.0.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 ids `(batch, time)`, padded with 0.

    Output:
        Logits `(batch, classes)`.

    Reference:
        - [Wang and Manning, 2012](https://aclanthology.org/P12-2018/)
    """

    def __init__(
        self,
        classes: int,
        n: int = 3,
        bits: int = 22,
        strength: float = 0.2,
        checked: bool = True,
        **kwargs,
    ):
        super().__init__(trainable=False, **kwargs)
        self.classes, self.n, self.bits, self.strength = classes, n, bits, strength
        self.columns = 1 if classes == 2 else classes  # two classes share one score
        self.table = self.add_weight((2**bits, self.columns), "zeros", name="table")
        self.bias = self.add_weight((self.columns,), "zeros", name="bias")
        self.checked = checked
        if checked:
            self.check = self.add_weight((2**bits,), "zeros", "uint8", name="check")

    def hashes(self, ids: tf.Tensor) -> tf.Tensor:
        """The distinct n-gram hashes of each text, int64 `(batch, n * time)`, padded with 0."""
        ids = tf.cast(ids, tf.int64)
        key, whole, grams = tf.zeros_like(ids), tf.ones_like(ids, tf.bool), []
        for i in range(self.n):
            later = tf.pad(ids, [[0, 0], [0, i]])[:, i:]  # (batch, time): the token i steps later
            key = ((key + later + 1) * _PRIME) & (2**_BITS - 1)
            whole &= later != PADDING
            gram = key * _PRIME & (2**_BITS - 1)
            grams.append(tf.where(whole, tf.maximum(gram, 2 ** (_BITS - self.bits)), 0))
        return _distinct(tf.sort(tf.concat(grams, 1)))

    def buckets(self, ids: tf.Tensor) -> tf.Tensor:
        """The buckets of each text's n-grams `(batch, n * time)`; 0 for none."""
        hashes = self.hashes(ids)
        buckets = tf.cast(hashes // 2 ** (_BITS - self.bits), tf.int32)
        if not self.checked:
            return _distinct(tf.sort(buckets))
        own = tf.gather(self.check, buckets) == tf.cast(1 + hashes % _CHECKS, tf.uint8)
        return tf.where(own, buckets, 0)

    def adapt(
        self,
        ids: tf.RaggedTensor,
        labels: Sequence[int],
        held: tuple[tf.RaggedTensor, Sequence[int]] | None = None,
    ) -> None:
        """Fits the weights to texts, or to every n-th if there are many.

        Args:
            ids: Ids, ragged `(texts, time)`.
            labels: The class indices `(texts,)`.
            held: Ids and labels of held-out texts, for choosing the regularization strength.
        """
        ids, labels = _sampled(ids, labels, _MOST)
        if self.checked:
            self._take(ids)
        seen = self._seen(ids)
        if held is None:
            self._assign(*self._solved(seen, labels, self.strength))
            return
        held_ids, known = _sampled(*held, _MOST_HELD)
        unseen = self._seen(held_ids)
        least = np.inf
        for strength in _STRENGTHS:
            table, bias = self._solved(seen, labels, strength)
            loss = _log_loss(unseen @ table + bias, known)
            if loss >= least:
                break
            least, self.strength = loss, strength
            self._assign(table, bias)

    def _take(self, ids: tf.RaggedTensor) -> None:
        """Assigns each bucket to an n-gram of these texts."""
        found, _ = _of_each(self.hashes, ids)
        found.sort()  # in place, as there may be many
        again = _repeats(found)
        if len(found) - again.sum() > 2**self.bits / 2:
            found = found[again]  # each once less
            again = _repeats(found)
        begins = np.flatnonzero(~again)
        grams, counts = found[begins], np.diff(begins, append=len(found))
        grams = grams[np.argsort(counts, kind="stable")]  # the last in a bucket wins
        check = np.zeros(2**self.bits, np.uint8)
        check[grams // 2 ** (_BITS - self.bits)] = 1 + grams % _CHECKS
        self.check.assign(check)

    def _seen(self, ids: tf.RaggedTensor) -> scipy.sparse.csr_matrix:
        """The buckets of each text `(texts, buckets)`."""
        buckets, sizes = _of_each(self.buckets, ids)
        return scipy.sparse.csr_matrix(
            (np.ones(len(buckets), np.int8), buckets, np.append(0, np.cumsum(sizes))),
            shape=(len(sizes), 2**self.bits),
        )

    def _assign(self, table: np.ndarray, bias: np.ndarray) -> None:
        self.table.assign(table)
        self.bias.assign(bias)

    def _solved(
        self, seen: scipy.sparse.csr_matrix, labels: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The table `(buckets, columns)` and the bias `(columns,)`."""
        targets = [1] if self.columns == 1 else range(self.classes)
        solved = [self._solve(seen, labels == target, strength) for target in targets]
        return np.stack([w for w, _ in solved], axis=1), np.array([bias for _, bias in solved])

    def _solve(
        self, seen: scipy.sparse.csr_matrix, mine: np.ndarray, strength: float
    ) -> tuple[np.ndarray, float]:
        """Weights `(buckets,)` and bias for one class against the rest."""
        if mine.all() or not mine.any():  # only one of the two classes was sampled
            share = (mine.sum() + 0.5) / (len(mine) + 1)
            return np.zeros(2**self.bits), float(scipy.special.logit(share))
        ratio = naive_bayes_ratios(seen, mine)
        values = ratio.astype(np.float32)[seen.indices].astype(float)  # as the solver wants them
        scaled = scipy.sparse.csr_matrix((values, seen.indices, seen.indptr), seen.shape)
        solver = LogisticRegression(
            C=strength, solver="liblinear", dual=True, tol=1e-2, random_state=0
        )
        solver.fit(scaled, mine)
        weights = ratio * solver.coef_[0]
        weights[0] = 0.0  # no n-gram
        return weights, float(solver.intercept_[0])

    def call(self, ids):
        scores = tf.gather(tf.cast(self.table, self.compute_dtype), self.buckets(ids))
        scores = tf.reduce_sum(scores, axis=1) + tf.cast(self.bias, self.compute_dtype)
        return tf.pad(scores, [[0, 0], [1, 0]]) if self.columns == 1 else scores

    def compute_output_spec(self, ids):
        return keras.KerasTensor((ids.shape[0], self.classes), dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.pop("trainable")
        return {
            **config,
            "classes": self.classes,
            "n": self.n,
            "bits": self.bits,
            "strength": self.strength,
            "checked": self.checked,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{"checked": False, **config})  # version 0.1.0 had no check


def _distinct(sorted_rows: tf.Tensor) -> tf.Tensor:
    """Sorted rows `(batch, n * time)` with duplicates set to 0."""
    repeated = tf.pad(sorted_rows[:, 1:] == sorted_rows[:, :-1], [[0, 0], [1, 0]])
    return tf.where(repeated, tf.zeros_like(sorted_rows), sorted_rows)


def _sampled(
    ids: tf.RaggedTensor, labels: Sequence[int], most: int
) -> tuple[tf.RaggedTensor, np.ndarray]:
    """Every n-th text and its label, so that there are at most so many tokens."""
    step = one_in(ids, most)
    return tf.gather(ids, tf.range(0, int(ids.nrows()), step)), np.asarray(labels)[::step]


def _of_each(
    find: Callable[[tf.Tensor], tf.Tensor], ids: tf.RaggedTensor
) -> tuple[np.ndarray, np.ndarray]:
    """The nonzero results of `find` for all texts, and how many each text has."""
    found, sizes = bytearray(), []  # which grows where it is
    for first in range(0, int(ids.nrows()), 256):
        rows = find(ids[first : first + 256].to_tensor()).numpy()
        found += rows[rows > 0].tobytes()
        sizes.append((rows > 0).sum(1))
    return np.frombuffer(found, rows.dtype), np.concatenate(sizes)


def _repeats(values: np.ndarray) -> np.ndarray:
    """Which of sorted values is the one before it, too: bool `(values,)`."""
    return np.append(False, values[1:] == values[:-1])[: len(values)]


def _log_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """The log loss of scores `(texts, columns)`."""
    logits = np.pad(scores, [(0, 0), (1, 0)]) if scores.shape[1] == 1 else scores
    return -scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
