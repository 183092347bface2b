"""Losses and metrics for windows with missing values."""

import keras
import tensorflow as tf


class ForecastLoss(keras.losses.Loss):
    """A likelihood's loss, averaged over the known values of each window.

    Args:
        likelihood: From `make_likelihood`.
    """

    def __init__(self, likelihood):
        super().__init__("forecast_loss", "mean_with_sample_weight", "float32")
        self.likelihood = likelihood

    def call(self, truth, parameters):
        known = tf.math.is_finite(truth)
        loss = self.likelihood.loss(tf.where(known, truth, 0.0), parameters)
        return _mean_of_known(loss, known)


class PointError(keras.metrics.MeanMetricWrapper):
    """The point forecast's error on scaled values.

    Args:
        likelihood: From `make_likelihood`.
        kind: `"mae"` or `"mse"`.
    """

    def __init__(self, likelihood, kind: str):
        def error(truth, parameters):
            known = tf.math.is_finite(truth)
            error = tf.where(known, truth, 0.0) - likelihood.point(parameters)
            return _mean_of_known(tf.abs(error) if kind == "mae" else error**2, known)

        super().__init__(error, name=kind, dtype="float32")


def _mean_of_known(values, known):
    """The mean `(batch,)` of a window's known values; 0 if there are none."""
    count = tf.reduce_sum(tf.cast(known, values.dtype), axis=[1, 2])
    total = tf.reduce_sum(tf.where(known, values, 0.0), axis=[1, 2])
    return tf.math.divide_no_nan(total, count)
