"""Training that ends after a given time, with the learning rate decayed within it."""

import time

import keras
import tensorflow as tf


class TimeLimit(keras.callbacks.Callback):
    """Ends training after so many seconds, and fits the learning rate's schedule to them.

    After each step the schedule is to end where, at the speed so far, the time will: so a slow
    network warms up and comes down to the same learning rate as a fast one. An epoch that is cut
    short is validated like any other.

    Args:
        seconds: The time, from the end of the first step on, which traces; validation counts. Of
            several networks, which train one after the other, each has it.

    Reference:
        [Li et al., 2020](https://arxiv.org/abs/1905.04753): a schedule that fits the budget.
    """

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds
        self._optimizer: keras.optimizers.Optimizer | None = None  # whose schedules are fitted

    def on_train_begin(self, logs=None):
        """See `keras.callbacks.Callback`."""
        self._began: float | None = None
        if self._optimizer is not self.model.optimizer:  # before Keras traces a step
            self._optimizer, self._meant = self.model.optimizer, []
            for schedule, name in self._optimizer.spans:
                meant = float(getattr(schedule, name))
                fitted = tf.Variable(meant, trainable=False)
                setattr(schedule, name, fitted)
                self._meant.append((fitted, meant))

    def on_train_batch_end(self, batch, logs=None):
        """See `keras.callbacks.Callback`."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._steps = now, 0
            self._before = int(self.model.optimizer.iterations.numpy())  # of all replicas
            return
        self._steps += 1
        spent = now - self._began
        if spent:  # else the clock is too coarse to tell the speed
            left = max(0.0, self.seconds - spent) * self._steps / spent
            share = min(1.0, (self._before + self._steps + left) / self._optimizer.steps)
            for fitted, meant in self._meant:
                fitted.assign(meant * share)
        if spent >= self.seconds:
            self.model.stop_training = True
