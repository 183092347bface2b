"""The loss of a language model with a large vocabulary."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_FULL = 2_000  # ids, of which no sample is drawn
_POWER = 0.75  # of its frequency, by which an id is drawn: rare ones more often than they occur
_PIECE = 2**24  # ids that are counted at a time, each of which takes eight bytes


@keras.saving.register_keras_serializable("rnnapps")
class SampledSoftmax(keras.layers.Layer):
    """The cross-entropy of the next tokens, in training against a sample of the vocabulary.

    A sample is drawn for all tokens of a batch together, frequent ids more often (see `adapt`);
    each logit is corrected by how often its id is to be expected in it. Small vocabularies, and all
    of them outside training, take the whole softmax.

    Unlike `tf.nn.sampled_softmax_loss` with its own sampler, it compiles under XLA, and its draws
    can be repeated.

    Args:
        vocabulary_size: Number of ids.
        samples: Ids to draw, with replacement.
        seed: Seed of the draws.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        kernel: Each id's vector `(vocabulary_size, width)`.
        features: `(streams, ..., width)`.
        targets: int32 ids `(streams, ...)`.
        training: Whether to draw a sample.

    Output:
        The mean loss, in nats, a scalar.

    Reference:
        - [Jean et al., 2015](https://arxiv.org/abs/1412.2007)
        - [Mikolov et al., 2013](https://arxiv.org/abs/1310.4546) for the power of the frequency
    """

    def __init__(
        self, vocabulary_size: int, samples: int = 512, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.vocabulary_size, self.samples, self.seed = vocabulary_size, samples, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, kernel_shape: tuple | None) -> None:
        """Creates the weights."""
        shape = (self.vocabulary_size,)
        alike = keras.initializers.Constant(1 / self.vocabulary_size)
        self.bias = self.add_weight(shape, "zeros", dtype="float32", name="bias")
        self.share = self.add_weight(shape, alike, dtype="float32", trainable=False, name="share")
        self.built = True

    def adapt(self, ids: np.ndarray) -> None:
        """Draws ids by how frequent they are, and starts from their frequencies as a model.

        Args:
            ids: The ids of the texts to learn from, of any shape.
        """
        pieces = np.array_split(np.ravel(ids), 1 + ids.size // _PIECE)
        counts = sum(np.bincount(one, minlength=self.vocabulary_size) for one in pieces)
        counts = np.maximum(counts, 1)
        weights = counts**_POWER
        self.share.assign(weights / weights.sum())
        self.bias.assign(np.log(counts / counts.sum()))  # rare ids are drawn too seldom to sink

    def call(self, kernel, features, targets, training=None):
        """See the class."""
        kernel, bias = tf.convert_to_tensor(kernel), tf.convert_to_tensor(self.bias)
        features = tf.cast(features, tf.float32)
        if training and self.vocabulary_size > _FULL:
            return self._of_a_sample(kernel, bias, features, targets)

        def of_a_stream(pair):  # one after the other, or there would be a logit for each id of each
            logits = tf.matmul(pair[0], kernel, transpose_b=True) + bias
            return tf.nn.sparse_softmax_cross_entropy_with_logits(pair[1], logits)

        one_by_one = (features, targets)
        return tf.reduce_mean(tf.map_fn(of_a_stream, one_by_one, fn_output_signature=tf.float32))

    def _of_a_sample(self, kernel, bias, features, targets):
        features = tf.reshape(features, (-1, kernel.shape[1]))  # (tokens, width)
        targets = tf.reshape(targets, (-1,))
        u = keras.random.uniform((self.samples,), seed=self.seed_generator)
        drawn = tf.searchsorted(tf.cumsum(self.share), u, side="right")
        drawn = tf.minimum(drawn, self.vocabulary_size - 1)  # where rounding goes beyond
        right = tf.reduce_sum(features * tf.gather(kernel, targets), axis=-1)
        right += tf.gather(bias, targets) - self._expected(targets)  # (tokens,)
        others = tf.matmul(features, tf.gather(kernel, drawn), transpose_b=True)
        others += tf.gather(bias, drawn) - self._expected(drawn)  # (tokens, samples)
        others = tf.where(targets[:, None] == drawn, -1e9, others)
        # Not as one matrix with the right ones in it: passes over memory are what takes the time.
        most = tf.stop_gradient(tf.maximum(right, tf.reduce_max(others, axis=1)))
        total = tf.exp(right - most) + tf.reduce_sum(tf.exp(others - most[:, None]), axis=1)
        return tf.reduce_mean(tf.math.log(total) + most - right)

    def _expected(self, ids):
        """The logarithm of how often each id is to be expected in a sample."""
        return tf.math.log(self.samples * tf.gather(self.share, ids))

    def get_config(self):
        own = {"vocabulary_size": self.vocabulary_size, "samples": self.samples, "seed": self.seed}
        return {**super().get_config(), **own}
