"""Losses that Keras lacks."""

from typing import Any

import keras
import tensorflow as tf


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
