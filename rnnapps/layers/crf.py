"""A conditional random field: predicts the tags of a sequence jointly."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.layers import chain

_IMPOSSIBLE = -1e4  # the score of a forbidden transition: its exp is 0
_MASKED = -1e30  # the scores of a masked step


@keras.saving.register_keras_serializable("rnnapps")
class CRF(keras.layers.Layer):
    """A linear-chain conditional random field over the scores of a `Dense` layer.

    It learns transition, start and end scores. It returns the input scores with the mask encoded
    in them (`-1e30` for all tags of a masked step), for `loss` and the methods, and for saving and
    serving. With `return_tags=True` it returns the best tags instead.

    Masked steps are skipped: gaps, padding on either side and empty rows are all supported. Scores
    are float32, also under `mixed_bfloat16`; sums over paths are float64.

    Args:
        allowed: Booleans `(tags + 1, tags + 1)`, from each tag (row) to the next (column), from
            `allowed_transitions`: the last row is the start, the last column the end. `None` allows
            all. Each forbidden transition in a label sequence adds 10,000 to its loss.
        transition_initializer: Initializer of the transition scores; start and end scores are
            initialized to zero.
        transition_regularizer: Regularizer of the transition scores.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        scores: Emission scores, `(batch, time, tags)`.
        mask: Booleans `(batch, time)`, false at steps to ignore.
        return_tags: Whether to return the best tags instead of scores.
        return_marginals: Whether to return marginal probabilities instead of scores.

    Output:
        float32 scores `(batch, time, tags)`; or the best tags, int32 `(batch, time)`, 0 at masked
        steps; or the marginal probabilities `(batch, time, tags)`, see `marginals`.

    Raises:
        ValueError: If the shape of `allowed` does not match the scores.

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
        # bfloat16 has 8 bits of precision, too few for sums over a sequence.
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
                f"Expected allowed of shape {expected} for scores of {tags} tags. "
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
        """The loss for a model whose last layer is this one."""
        return CRFLoss(self)

    def log_likelihood(self, scores, tags, mask=None) -> tf.Tensor:
        """The log-likelihood of tags, given the scores.

        Args:
            scores: The layer's output, `(batch, time, tags)`.
            tags: Integers `(batch, time)`; ignored at masked steps. A negative tag masks its step.
            mask: Booleans `(batch, time)`, for scores that did not pass through the layer.

        Returns:
            The log-probability of each row's tag sequence, `(batch,)`; 0 for empty rows.
        """
        tags = tf.cast(tags, tf.int32)
        scores, mask, place = self._steps(scores, mask, tags >= 0)
        tags = tf.where(mask, _moved(tags, place), 0)  # (time, batch)
        weights = self._weights()
        score = chain.path_score(scores, tags, *weights, mask)
        return score - chain.log_partition(scores, *weights, mask)

    def decode(self, scores, mask=None) -> tuple[tf.Tensor, tf.Tensor]:
        """The best tag sequence of each row (Viterbi).

        Args:
            scores: The layer's output, `(batch, time, tags)`.
            mask: Booleans `(batch, time)`, for scores that did not pass through the layer.

        Returns:
            int32 tags `(batch, time)`, 0 at masked steps; and their log-probabilities `(batch,)`.
        """
        scores, mask, place = self._steps(scores, mask)
        weights = self._weights()
        tags = tf.where(mask, chain.best_path(scores, *weights, mask), 0)
        score = chain.path_score(scores, tags, *weights, mask)
        return _put_back(tags, place), score - chain.log_partition(scores, *weights, mask)

    def marginals(self, scores, mask=None) -> tf.Tensor:
        """The marginal probability of each tag at each step (forward-backward).

        Args:
            scores: The layer's output, `(batch, time, tags)`.
            mask: Booleans `(batch, time)`, for scores that did not pass through the layer.

        Returns:
            `(batch, time, tags)`; zeros at masked steps.
        """
        scores, mask, place = self._steps(scores, mask)
        return _put_back(chain.marginals(scores, *self._weights(), mask), place)

    def _weights(self) -> tuple:
        """The transition, start and end scores, with forbidden transitions filled in."""
        found = [tf.convert_to_tensor(one) for one in (self.transitions, self.start, self.end)]
        if self.allowed is None:
            return tuple(found)
        masks = (self.allowed[:-1, :-1], self.allowed[-1, :-1], self.allowed[:-1, -1])
        pairs = zip(masks, found, strict=True)
        return tuple(tf.where(allowed, one, _IMPOSSIBLE) for allowed, one in pairs)

    def _steps(self, scores, mask, also=None) -> tuple:
        """Scores and mask, time-major with each row's gaps removed, and the steps' new places."""
        scores = tf.cast(scores, self.compute_dtype)
        # (batch, time); NaN counts as unmasked, so that the loss shows that training diverged.
        seen = ~tf.reduce_all(scores <= 0.1 * _MASKED, axis=-1)
        for one in (mask, also):
            seen = seen if one is None else seen & tf.cast(one, tf.bool)
        batch, time = (seen.shape[i] or tf.shape(seen)[i] for i in (0, 1))
        count = tf.cumsum(tf.cast(seen, tf.int32), axis=1)
        step = tf.where(seen, count - 1, count[:, -1:] + tf.range(time) - count)  # masked last
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
    """Moves batch-major values to their new places, time-major."""
    order = tf.math.invert_permutation(tf.reshape(place, (-1,)))
    batch, time, *rest = values.shape
    flat = tf.gather(tf.reshape(values, (-1, *rest)), order)
    return tf.reshape(flat, (time or tf.shape(values)[1], batch or tf.shape(values)[0], *rest))


def _put_back(values, place):
    """Moves time-major values back to their original places, batch-major."""
    return tf.gather(tf.reshape(values, (-1, *values.shape[2:])), place)


@keras.saving.register_keras_serializable("rnnapps")
class CRFLoss(keras.losses.Loss):
    """The negative log-likelihood of tags under a `CRF`, in nats per sequence.

    The layer is not saved with the loss. A loaded model predicts as it is; to train it further,
    recompile it: `model.compile(model.optimizer, loss=model.get_layer(name).loss)`.

    Args:
        crf: The model's last layer; `None` for a loaded loss.
        name: Name of the loss.
        reduction: Reduction over sequences, as in `keras.losses.Loss`.
    """

    def __init__(self, crf: CRF | None, name: str = "crf", reduction: str = "sum_over_batch_size"):
        super().__init__(name=name, reduction=reduction)
        self._crf = lambda: crf  # Keras would save an attribute as part of the loss

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
        """Creates a loss without its layer, which the configuration lacks."""
        return cls(None, **config)
