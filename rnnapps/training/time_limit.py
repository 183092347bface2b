"""Training that ends after a given time, and whose learning rate comes down within it."""

import time

import keras
import tensorflow as tf


class TimeLimit(keras.callbacks.Callback):
    """Ends training after so many seconds, and fits the learning rate's schedule to them.

    After each step the schedule is to end where, at the speed so far, the time will: so a slow
    network comes down to the same learning rate as a fast one. An epoch that is cut short is
    validated like any other.

    Args:
        seconds: The time, from the end of the first step on, which traces; validation counts.

    Reference:
        [Li et al., 2020](https://arxiv.org/abs/1905.04753): a schedule that fits the budget.
    """

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds
        self._end: tf.Variable | None = None

    def on_train_begin(self, logs=None):
        """See `keras.callbacks.Callback`."""
        self._began: float | None = None
        schedule = self.model.optimizer.schedule
        if schedule is not None and self._end is None:  # before Keras traces a step
            self._most = float(schedule.decay_steps)
            self._end = schedule.decay_steps = tf.Variable(self._most, trainable=False)

    def on_train_batch_end(self, batch, logs=None):
        """See `keras.callbacks.Callback`."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._steps = now, 0
            self._before = int(self.model.optimizer.iterations)
            return
        self._steps += 1
        spent = now - self._began
        if self._end is not None:
            left = max(0.0, self.seconds - spent) * self._steps / spent
            self._end.assign(min(self._most, self._before + self._steps + left))
        if spent >= self.seconds:
            self.model.stop_training = True
