"""A time-series predictor: the past values, then the next one."""

import numpy as np

from rnnapps.reference.dense import Dense
from rnnapps.reference.layer import Array
from rnnapps.reference.losses import mean_squared_error
from rnnapps.reference.lstm import LSTM
from rnnapps.reference.network import Network
from rnnapps.reference.recurrent import Recurrent

Batch = tuple[Array, Array]  # windows (batch, time) and the values that followed (batch,)


def sliding_windows(series: Array, time: int) -> Batch:
    """Split a series into all windows of `time` values, each with the next value.

    Args:
        series: Shape `(values,)`.
        time: Length of a window.

    Returns:
        Windows of shape `(values - time, time)` and next values of shape `(values - time,)`.
    """
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], time)
    return windows, series[time:]


class Forecaster(Network):
    """A recurrent layer over the window, and a dense layer on its last output: many-to-one.

    Args:
        units: Size of the recurrent layer.
        cell: Kind of recurrent layer.
        seed: Seed of the initial weights.
    """

    def __init__(self, units: int, cell: type[Recurrent] = LSTM, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.recurrent = cell(1, units, seed=rng)
        self.dense = Dense(units, 1, rng)
        self.layers = {"recurrent": self.recurrent, "dense": self.dense}

    def predict(self, windows: Array) -> Array:
        """Return the value after each window: `(batch, time)` to `(batch,)`."""
        h, _, _ = self.recurrent.forward(windows[..., None])
        return self.dense.forward(h[:, -1])[0][:, 0]

    def loss(self, batch: Batch) -> float:
        """Return the mean squared error."""
        windows, next_values = batch
        return mean_squared_error(self.predict(windows), next_values)[0]

    def loss_and_gradients(
        self, batch: Batch, rng: np.random.Generator | None = None
    ) -> tuple[float, dict[str, Array]]:
        """Run one forward and backward pass; without dropout, `rng` is unused."""
        windows, next_values = batch
        h, _, recurrent_cache = self.recurrent.forward(windows[..., None])  # (batch, time, units)
        y, dense_cache = self.dense.forward(h[:, -1])  # (batch, 1)
        loss, dy = mean_squared_error(y, next_values[:, None])

        dense = self.dense.backward(dy, dense_cache)
        d_outputs = np.zeros_like(h)
        d_outputs[:, -1] = dense.inputs  # only the last step is used
        recurrent = self.recurrent.backward(d_outputs, recurrent_cache)
        return loss, self.named(recurrent=recurrent, dense=dense)
