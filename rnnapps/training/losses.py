"""Losses that Keras lacks."""

from typing import Any

import keras
import tensorflow as tf


class GlobalMean(keras.losses.Loss):
    """A loss whose mean is over the rows of all replicas, however they share the weights.

    Keras takes the mean of the replicas' means. With `reduction="mean_with_sample_weight"` that is
    another number wherever one replica has more padding than another.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: keras.losses.Loss):
        super().__init__(loss.name, loss.reduction, loss.dtype)
        self.loss = loss

    def __call__(self, y_true, y_pred, sample_weight=None):
        found = self.loss(y_true, y_pred, sample_weight)
        context = tf.distribute.get_replica_context()
        weighted = self.reduction == "mean_with_sample_weight" and sample_weight is not None
        if not weighted or context is None or context.num_replicas_in_sync == 1:
            return found
        own = tf.reduce_sum(tf.cast(sample_weight, found.dtype))
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
        return found * tf.math.divide_no_nan(own * context.num_replicas_in_sync, total)


@keras.saving.register_keras_serializable("rnnapps")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy between logits and ids of which a share of the probability goes to all ids.

    Args:
        smoothing: That share.
        **kwargs: Arguments of `keras.losses.Loss`.

    Reference:
        - [Szegedy et al., 2016](https://arxiv.org/abs/1512.00567), section 7
    """

    def __init__(self, smoothing: float, **kwargs: Any):
        super().__init__(**{"reduction": "mean_with_sample_weight", **kwargs})
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        size = y_pred.shape[-1]
        off = self.smoothing / size
        labels = tf.one_hot(tf.cast(y_true, tf.int32), size, 1 - self.smoothing + off, off)
        return tf.nn.softmax_cross_entropy_with_logits(labels, y_pred)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}
