"""A conditional random field: predicts the tags of a sequence jointly."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.layers import chain

_IMPOSSIBLE = -1e4  # the score of a transition that is not allowed: exp of it is 0
_MASKED = -1e30  # all scores of a step that is masked


@keras.saving.register_keras_serializable("rnnapps")
class CRF(keras.layers.Layer):
    """A linear-chain conditional random field over the scores of a `Dense` layer.

    It learns how well each tag follows another, begins a sequence and ends it. It hands the scores
    on, with the mask in them (`-1e30` for all tags of a masked step): they are what `loss` and the
    methods take, from wherever they come, and what a model may be saved and served with. With
    `return_tags=True` it gives the best tags instead.

    A masked step is as if it were not there, so that gaps, padding on either side and empty rows
    all hold. Scores are float32, also under `mixed_bfloat16`, and sums over paths of float64.

    Args:
        allowed: Booleans `(tags + 1, tags + 1)`, which tag may follow which, as
            `allowed_transitions` makes them: the last row is of the beginning, the last column of
            the end. `None` allows all. The loss of a sequence that is not allowed is 10,000 for
            each such transition.
        transition_initializer: Initializer of the transitions' scores; the first and the last
            tags' begin at zero.
        transition_regularizer: Regularizer of the transitions' scores.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        scores: How well each tag suits each step by itself, `(batch, time, tags)`.
        mask: Booleans `(batch, time)`, false where a step is not to be seen.
        return_tags: Whether to return the best tags instead of scores.
        return_marginals: Whether to return each tag's probability instead of scores.

    Output:
        float32 scores `(batch, time, tags)`; or the best tags, int32 `(batch, time)`, 0 where a
        step is masked; or the tags' probabilities `(batch, time, tags)`, as `marginals` has them.

    Raises:
        ValueError: If `allowed` is not of the shape that the scores ask for.

    Reference:
        - [Lafferty et al., 2001](https://dl.acm.org/doi/10.5555/645530.655813)
        - [Lample et al., 2016](https://arxiv.org/abs/1603.01360)

    Example:
    >>> from rnnapps.layers import CRF, LSTM, allowed_transitions
    >>> names = ["O", "B-PER", "I-PER"]
    >>> words = keras.Input((None,), dtype="int32")
    >>> x = keras.layers.Embedding(50, 16, mask_zero=True)(words)
    >>> x = keras.layers.Bidirectional(LSTM(16, return_sequences=True))(x)
    >>> x, crf = keras.layers.Dense(len(names))(x), CRF(allowed=allowed_transitions(names))
    >>> model = keras.Model(words, crf(x))
    >>> model.compile("adam", loss=crf.loss)
    >>> history = model.fit(np.array([[7, 3, 4], [5, 9, 0]]), np.array([[0, 1, 2], [1, 0, 0]]),
    ...                     verbose=0)
    >>> tagger = keras.Model(words, crf(x, return_tags=True))
    >>> tagger.predict(np.array([[5, 9, 0]]), verbose=0).shape
    (1, 3)
    """

    def __init__(
        self,
        allowed: Sequence[Sequence[bool]] | np.ndarray | None = None,
        transition_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        transition_regularizer: str | keras.regularizers.Regularizer | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        # Bfloat16 has 8 bits, too few for sums over a sequence.
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        self.dtype_policy = keras.DTypePolicy(wide)
        self.allowed = None if allowed is None else np.array(allowed, bool)
        self.transition_initializer = keras.initializers.get(transition_initializer)
        self.transition_regularizer = keras.regularizers.get(transition_regularizer)
        self.supports_masking = True

    def build(self, scores_shape):
        tags = scores_shape[-1]
        expected = (tags + 1, tags + 1)
        if self.allowed is not None and self.allowed.shape != expected:
            raise ValueError(
                f"Expected allowed of shape {expected}, as the scores are of {tags} tags. "
                f"Received: {self.allowed.shape}"
            )
        self.transitions = self.add_weight(
            (tags, tags),
            self.transition_initializer,
            name="transitions",
            regularizer=self.transition_regularizer,
        )
        self.start = self.add_weight((tags,), "zeros", name="start")
        self.end = self.add_weight((tags,), "zeros", name="end")

    def call(self, scores, mask=None, return_tags=False, return_marginals=False):
        scores = tf.cast(scores, self.compute_dtype)
        if mask is not None:
            scores = tf.where(tf.cast(mask, tf.bool)[..., tf.newaxis], scores, _MASKED)
        if return_marginals:
            return self.marginals(scores)
        return self.decode(scores)[0] if return_tags else scores

    def compute_mask(self, scores, mask=None):
        return None  # it is in the scores

    def compute_output_spec(self, scores, mask=None, return_tags=False, return_marginals=False):
        if return_tags:
            return keras.KerasTensor(scores.shape[:-1], "int32")
        return keras.KerasTensor(scores.shape, self.compute_dtype)

    @property
    def loss(self) -> "CRFLoss":
        """What to compile a model with that ends in this layer."""
        return CRFLoss(self)

    def log_likelihood(self, scores, tags, mask=None) -> tf.Tensor:
        """How likely tags are, given the scores.

        Args:
            scores: What the layer returned, `(batch, time, tags)`.
            tags: Integers `(batch, time)`; those of masked steps are not looked at. A step whose
                tag is negative is masked, too.
            mask: Booleans `(batch, time)`, for scores that the layer has not seen.

        Returns:
            The log-probability of each row's tags together, `(batch,)`; 0 of an empty row.
        """
        tags = tf.cast(tags, tf.int32)
        scores, mask, place = self._steps(scores, mask, tags >= 0)
        tags = tf.where(mask, _moved(tags, place), 0)  # (time, batch)
        weights = self._weights()
        score = chain.path_score(scores, tags, *weights, mask)
        return score - chain.log_partition(scores, *weights, mask)

    def decode(self, scores, mask=None) -> tuple[tf.Tensor, tf.Tensor]:
        """The best tags, all of a row together (Viterbi).

        Args:
            scores: What the layer returned, `(batch, time, tags)`.
            mask: Booleans `(batch, time)`, for scores that the layer has not seen.

        Returns:
            int32 tags `(batch, time)`, 0 where a step is masked; and their log-probabilities
            `(batch,)`.
        """
        scores, mask, place = self._steps(scores, mask)
        weights = self._weights()
        tags = tf.where(mask, chain.best_path(scores, *weights, mask), 0)
        score = chain.path_score(scores, tags, *weights, mask)
        return _put_back(tags, place), score - chain.log_partition(scores, *weights, mask)

    def marginals(self, scores, mask=None) -> tf.Tensor:
        """The probability of each tag at each step, whatever the other steps' (forward-backward).

        Args:
            scores: What the layer returned, `(batch, time, tags)`.
            mask: Booleans `(batch, time)`, for scores that the layer has not seen.

        Returns:
            `(batch, time, tags)`; zeros where a step is masked.
        """
        scores, mask, place = self._steps(scores, mask)
        return _put_back(chain.marginals(scores, *self._weights(), mask), place)

    def _weights(self) -> tuple:
        """The transitions', first tags' and last tags' scores, with those that are impossible."""
        found = [tf.convert_to_tensor(one) for one in (self.transitions, self.start, self.end)]
        if self.allowed is None:
            return tuple(found)
        masks = (self.allowed[:-1, :-1], self.allowed[-1, :-1], self.allowed[:-1, -1])
        pairs = zip(masks, found, strict=True)
        return tuple(tf.where(allowed, one, _IMPOSSIBLE) for allowed, one in pairs)

    def _steps(self, scores, mask, also=None) -> tuple:
        """Scores and mask time-major, a row's steps moved together, and where they are now."""
        scores = tf.cast(scores, self.compute_dtype)
        # (batch, time); what is no number is seen, so that a loss says that training diverged.
        seen = ~tf.reduce_all(scores <= 0.1 * _MASKED, axis=-1)
        for one in (mask, also):
            seen = seen if one is None else seen & tf.cast(one, tf.bool)
        batch, time = (seen.shape[i] or tf.shape(seen)[i] for i in (0, 1))
        count = tf.cumsum(tf.cast(seen, tf.int32), axis=1)
        step = tf.where(seen, count - 1, count[:, -1:] + tf.range(time) - count)  # the others last
        place = step * batch + tf.range(batch)[:, tf.newaxis]  # (batch, time)
        mask = tf.range(time)[:, tf.newaxis] < count[:, -1]  # (time, batch)
        return tf.where(mask[..., tf.newaxis], _moved(scores, place), 0.0), mask, place

    def get_config(self):
        return {
            **super().get_config(),
            "allowed": None if self.allowed is None else self.allowed.astype(int).tolist(),
            "transition_initializer": keras.initializers.serialize(self.transition_initializer),
            "transition_regularizer": keras.regularizers.serialize(self.transition_regularizer),
        }


def _moved(values, place):
    """What is batch-major, time-major at its new places."""
    order = tf.math.invert_permutation(tf.reshape(place, (-1,)))
    batch, time, *rest = values.shape
    flat = tf.gather(tf.reshape(values, (-1, *rest)), order)
    return tf.reshape(flat, (time or tf.shape(values)[1], batch or tf.shape(values)[0], *rest))


def _put_back(values, place):
    """What is time-major, batch-major at the places it came from."""
    return tf.gather(tf.reshape(values, (-1, *values.shape[2:])), place)


@keras.saving.register_keras_serializable("rnnapps")
class CRFLoss(keras.losses.Loss):
    """The negative log-likelihood of tags under a `CRF`, in nats a sequence.

    A loss cannot be saved with a layer. A model that is loaded again predicts as it is; to train it
    on, compile it again: `model.compile(model.optimizer, loss=model.get_layer(name).loss)`.

    Args:
        crf: The layer, in which the model ends; `None` for a loss that was loaded.
        name: Name of the loss.
        reduction: How the sequences' losses become one number, as Keras has it.
    """

    def __init__(self, crf: CRF | None, name: str = "crf", reduction: str = "sum_over_batch_size"):
        super().__init__(name=name, reduction=reduction)
        self._crf = lambda: crf  # no attribute, which Keras would save as a part of the loss

    def call(self, y_true, y_pred):
        crf = self._crf()
        if crf is None:
            raise ValueError(
                "Expected the loss of a CRF layer. Received: one that was loaded and has no layer; "
                "compile again with loss=model.get_layer(name).loss"
            )
        return -crf.log_likelihood(y_pred, y_true)  # (batch,)

    @classmethod
    def from_config(cls, config):
        """Makes a loss of a configuration, which has no layer."""
        return cls(None, **config)
