"""How large the gradients are, and how often they are clipped."""

import keras
import tensorflow as tf

from rnnapps.training.optimizer import Observed


class GradientNorms(keras.callbacks.Callback):
    """Adds to each epoch's logs the gradients' mean and largest global norm, and the share clipped.

    The logs, and with them `history.csv`, gain `gradient_norm`, `gradient_norm_max` and
    `gradients_clipped`, the share of steps whose norm was over the optimizer's `global_clipnorm`.
    With several replicas they are those of the sum. The optimizer has to be `Observed`, as all of
    `make_optimizer` are.
    """

    def set_model(self, model):  # `fit` traces the training step after this, and before the rest
        super().set_model(model)
        if not isinstance(model.optimizer, Observed):
            raise TypeError(f"Expected an Observed optimizer. Received: {model.optimizer!r}.")
        # (4,): steps, sum of norms, largest norm, steps clipped
        self._seen = tf.Variable(tf.zeros(4), trainable=False)
        self._observe(self._note)

    def _observe(self, function):
        self.model.optimizer.observe = function
        self.model.train_function = None  # traced anew

    def _note(self, gradients):
        norm = tf.linalg.global_norm([g for g in gradients if g is not None])
        steps, total, largest, clipped = tf.unstack(self._seen)
        limit = self.model.optimizer.global_clipnorm or float("inf")
        clipped += tf.cast(norm > limit, tf.float32)
        self._seen.assign([steps + 1, total + norm, tf.maximum(largest, norm), clipped])

    def on_epoch_begin(self, epoch, logs=None):
        self._seen.assign(tf.zeros(4))

    def on_epoch_end(self, epoch, logs=None):
        steps, total, largest, clipped = self._seen.numpy().tolist()
        if logs is not None and steps:
            logs["gradient_norm"] = total / steps
            logs["gradient_norm_max"] = largest
            logs["gradients_clipped"] = clipped / steps

    def on_train_end(self, logs=None):
        self._observe(None)
