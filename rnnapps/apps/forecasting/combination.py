"""Forecast combination of network, ridge and naive forecasts, weighted on held-out data."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.networks import fill_missing

_STEPS = (0.25, 0.1, 0.05, 0.01)  # step sizes of the weight search, from coarse to fine
_VALUES = 200_000  # maximum number of values for choosing weights
_BLOCKS = 4  # maximum number of blocks of the horizon with separate weights
_FEW = 2  # number of non-overlapping windows at which chosen weights count half
NETWORK = "network"


@keras.saving.register_keras_serializable("rnnapps")
class Combination(keras.layers.Layer):
    """A convex combination of forecasts, with weights per step of the horizon.

    The members are the network, a ridge regression (one linear map for all targets, on the
    look-back minus its last value), the last value, and a seasonal naive forecast per cycle.
    Quantiles are shifted with the point and stay in order.

    Args:
        task: The forecasting task, or its `to_dict()`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        history: Scaled values `(batch, lookback, columns)`, NaN where missing.
        answer: The network's point and quantiles `(batch, horizon, targets, 1 + levels)`.

    Output:
        Point and quantiles of the combination, same shape as `answer`.

    Reference:
        - [Bates and Granger, 1969](https://doi.org/10.1057/jors.1969.103)
    """

    def __init__(self, task: Task | dict, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.task = task = task if isinstance(task, Task) else Task.from_dict(task)
        self.cycles = tuple(cycle for cycle in task.cycles if 1 < cycle <= task.lookback)
        self.members = (NETWORK, "ridge", "last value", *map(_name_of, self.cycles))
        self.ridge = self.add_weight((task.lookback, task.horizon), "zeros", name="ridge")
        self.weights_of = self.add_weight((task.horizon, len(self.members)), "zeros", name="shares")
        self.weights_of.assign(np.eye(len(self.members))[[0] * task.horizon])  # the network alone

    def others(self, history):
        """The other members' forecasts `(batch, horizon, targets, members - 1)`."""
        task = self.task
        known = fill_missing(tf.cast(history[..., : task.targets], "float32"), task.padded)[0]
        last = known[:, -1:]  # (batch, 1, targets)
        ridge = tf.einsum("blt,lh->bht", known - last, self.ridge) + last
        found = [ridge, tf.repeat(last, task.horizon, axis=1)]
        ahead = np.arange(task.horizon)
        for cycle in self.cycles:
            found.append(tf.gather(known, task.lookback - cycle + ahead % cycle, axis=1))
        return tf.stack(found, axis=-1)

    def call(self, history, answer):
        away = self.others(history) - answer[..., :1]  # relative to the network
        shift = tf.reduce_sum(self.weights_of[:, None, 1:] * away, axis=-1)
        return answer + shift[..., None]

    def adapt(
        self, history: np.ndarray, point: np.ndarray, truth: np.ndarray, loss: str, apart: float
    ) -> None:
        """Chooses the weights on held-out windows; assign `ridge` before.

        All steps share their weights, unless separate weights for blocks of the horizon are better
        in two-fold cross-validation over stretches of windows. The fewer windows, the more the
        weights are shrunk towards those of network and ridge alone, which are inverse to their mean
        squared errors.

        Args:
            history: Scaled values `(windows, lookback, columns)`.
            point: The network's point forecasts `(windows, horizon, targets)`.
            truth: The observed values, same shape; NaN where missing.
            loss: The loss to minimize: `"mae"`, `"mse"` or `"huber"`.
            apart: Equivalent number of non-overlapping windows.
        """
        others = [self.others(history[i : i + 256]).numpy() for i in range(0, len(history), 256)]
        members = np.concatenate([point[..., None], np.concatenate(others)], axis=-1)
        weights = weigh(truth, members, loss)
        if self.ridge.numpy().any():
            trust = apart / (apart + _FEW)
            weights = trust * weights + (1 - trust) * by_error(truth, members)
        self.weights_of.assign(weights)

    def describe(self) -> dict[str, Any]:
        """Each member's weight; if it varies along the horizon, at the first and last step."""
        weights = np.round(self.weights_of.numpy().astype(float), 2)
        first, last = weights[0], weights[-1]
        if (weights == first).all():
            return dict(zip(self.members, first.tolist(), strict=True))
        return {
            name: {"first step": a, "last step": b}
            for name, a, b in zip(self.members, first.tolist(), last.tolist(), strict=True)
        }

    def said(self) -> str:
        """A message with the weights."""
        weights = self.weights_of.numpy()
        shares = []
        for name, column in zip(self.members, weights.T, strict=True):
            a, b = f"{column[0]:.2f}", f"{column[-1]:.2f}"
            if column.any():
                shares.append(f"{name} {a}" if a == b else f"{name} {a} to {b} along the horizon")
        return f"Weights of the combination, from the validation part: {', '.join(shares)}."

    def get_config(self):
        return {"name": self.name, "task": self.task.to_dict()}


def _name_of(cycle: int) -> str:
    return f"value {cycle} steps before"


def weigh(truth: np.ndarray, members: np.ndarray, loss: str) -> np.ndarray:
    """Chooses weights for each step of the horizon; see `Combination.adapt`.

    Args:
        truth: `(windows, horizon, targets)`, NaN where missing.
        members: Forecasts `(windows, horizon, targets, members)`.
        loss: `"mae"`, `"mse"` or `"huber"`.

    Returns:
        The weights `(horizon, members)`.
    """
    horizon = truth.shape[1]

    def error(rows: slice | np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The error of each member, `(values, members)`."""
        off = truth[rows][:, steps, :, None] - members[rows][:, steps]
        off = off.reshape(-1, off.shape[-1])
        off = off[np.isfinite(off).all(1)]
        return off[:: max(1, len(off) // _VALUES)]

    every = np.arange(horizon)
    shared = np.tile(choose_weights(error(slice(None), every), loss), (horizon, 1))
    blocks = [block for block in np.array_split(every, _BLOCKS) if len(block)]
    stretch = np.arange(len(truth)) * 8 // max(1, len(truth)) % 2  # windows overlap
    halves = np.flatnonzero(stretch == 0), np.flatnonzero(stretch == 1)
    if len(blocks) < 2 or min(map(len, halves)) < 2 * horizon:
        return shared
    together = apart = 0.0
    for chosen_by, measured_by in (halves, halves[::-1]):
        one = choose_weights(error(chosen_by, every), loss)
        for block in blocks:
            off = error(measured_by, block)
            together += cost(off @ one, loss) * len(off)
            apart += cost(off @ choose_weights(error(chosen_by, block), loss), loss) * len(off)
    if apart >= together:
        return shared
    chosen = [choose_weights(error(slice(None), block), loss) for block in blocks]
    return np.concatenate(
        [np.tile(one, (len(block), 1)) for one, block in zip(chosen, blocks, strict=True)]
    )


def by_error(truth: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Weights `(members,)` for network and ridge, inverse to their mean squared errors.

    Args:
        truth: `(windows, horizon, targets)`, NaN where missing.
        members: Forecasts `(windows, horizon, targets, members)`, these two first.
    """
    off = (truth[..., None] - members[..., :2]).reshape(-1, 2)
    squares = np.square(off[np.isfinite(off).all(1)]).sum(0)
    weights = np.zeros(members.shape[-1])
    weights[:2] = 1 / np.maximum(squares, 1e-12)
    return weights / weights.sum()


def cost(off: np.ndarray, loss: str) -> float:
    """The mean loss of errors; 0 if there are none."""
    if not len(off):
        return 0.0
    size = np.abs(off)
    if loss == "mse":
        return float(np.mean(size**2))
    if loss == "huber":
        return float(np.mean(np.where(size < 1, size**2 / 2, size - 0.5)))
    return float(np.mean(size))


def choose_weights(off: np.ndarray, loss: str) -> np.ndarray:
    """The convex weights with the lowest loss.

    The loss is convex in the weights: starting from the best member, weight is moved between pairs
    of members while that helps, in decreasing steps.

    Args:
        off: The error of each member, `(values, members)`.
        loss: `"mae"`, `"mse"` or `"huber"`.

    Returns:
        The weights `(members,)`, multiples of 0.01.
    """
    count = off.shape[1]
    corners = [cost(column, loss) for column in off.T]
    weights = np.eye(count)[int(np.argmin(corners))]
    best, now = min(corners), off @ weights
    for step in _STEPS:
        better = True
        while better:
            better = False
            for giver, taker in _pairs(weights):
                part = min(step, weights[giver])
                moved = now + part * (off[:, taker] - off[:, giver])
                if (found := cost(moved, loss)) < best * (1 - 1e-6):
                    best, now, better = found, moved, True
                    weights[giver], weights[taker] = weights[giver] - part, weights[taker] + part
                    break
    return np.round(weights, 2)


def _pairs(weights: np.ndarray) -> Sequence[tuple[int, int]]:
    """The pairs of members between which weight can move: from, to."""
    count = len(weights)
    return [(i, j) for i in range(count) for j in range(count) if i != j and weights[i] > 1e-9]
