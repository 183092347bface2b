"""What all networks share (missing values, levels, a row for each target), and the direct one."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.data import Task
from rnnapps.layers import RecurrentStack
from rnnapps.probabilistic import make_likelihood, quantiles_of


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """What is chosen about a network; what it forecasts from what is its task.

    Args:
        cell: A name of `rnnapps.config.CELLS`, or `"transformer"`.
        units: Units of the cell.
        layers: Recurrent layers.
        dropout: Share of units dropped.
        independent: Whether each target is forecast by itself.
        normalization: `"last"`, `"instance"` or `"none"`.
        linear: Whether a linear map from the look-back to the horizon runs beside the network.
        likelihood: Name of the likelihood.
        levels: Levels of the quantiles.
        loss: What the point minimizes.
        samples: Sample paths, where there are `paths`.
        paths: Whether each path's next step depends on what was drawn for the one before.
        block: `"plain"` or `"pre_norm"`, what stands around each recurrent layer.
        heads: Heads of each block of a Transformer.
        positions: How it tells where segments stand.
    """

    cell: str = "gru"
    units: int = 256
    layers: int = 1
    dropout: float = 0.0
    independent: bool = True
    normalization: str = "last"
    linear: bool = False
    likelihood: str = "quantiles"
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    loss: str = "mae"
    samples: int = 200
    paths: bool = False
    block: str = "plain"
    heads: int = 4
    positions: str = "rotary"


class ForecastNetwork(keras.layers.Layer):
    """A forecaster of scaled values. Subclasses say how, in `forecast`.

    With `config.linear` their forecast is added to a linear map of the targets' look-back.

    A window's targets lose their last value, or their mean and spread, and get them back at the
    end. With independent targets each target of each window is a row of its own, beside the
    covariates. Missing values become the last known ones; in the columns where training lacked
    values, whether they are missing is a feature.

    Args:
        task: What is forecast from what, or its `to_dict()`.
        config: What is chosen about the network, or its fields as a dictionary.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: A dictionary of `history (batch, lookback, columns)`, NaN where missing; `future
            (batch, horizon, future)` where there are such covariates; where they are wanted,
            `teacher (batch, horizon, targets)`, the truth, and `scale (batch, targets)`.
        training: Whether to apply dropout.

    Output:
        The likelihood's parameters `(batch, horizon, targets, parameters)`.
    """

    def __init__(self, task: Task | dict, config: NetworkConfig | dict, **kwargs):
        # The layers within cast for themselves; levels and parameters stay float32.
        super().__init__(autocast=False, **kwargs)
        self.task = task if isinstance(task, Task) else Task.from_dict(task)
        if not isinstance(config, NetworkConfig):
            config = NetworkConfig(**{**config, "levels": tuple(config["levels"])})
        self.config = config
        task, own = self.task, len(self.task.columns.names) - self.task.targets
        self.per_row = 1 if config.independent else task.targets  # that a row forecasts
        self.features = self.per_row * (2 if task.missing else 1) + own + len(task.gaps)
        self.known_ahead = task.future + len(task.future_gaps)  # numbers for a step of the horizon
        self.likelihood = make_likelihood(config.likelihood, config.levels, config.loss)
        self.head = Head(self.likelihood.size, config.likelihood == "quantiles", name="head")
        self.linear = None
        if config.linear:
            self.linear = keras.layers.Dense(
                task.horizon, kernel_initializer="zeros", dtype="float32", name="linear"
            )

    def build(self, inputs_shape=None):
        if self.linear:  # or a model that is loaded has no place for its weights
            self.linear.build((None, None, self.task.lookback))
        self.built = True

    def forecast(self, x, future, teacher, scale, training):
        """Forecasts rows.

        Args:
            x: `(rows, lookback, features)`.
            future: `(rows, horizon, known_ahead)`, or `None`.
            teacher: `(rows, horizon, per_row)`, or `None`.
            scale: `(rows, 1, per_row)`, or `None`.
            training: Whether to apply dropout.

        Returns:
            Raw parameters `(rows, horizon, per_row, size)`.
        """
        raise NotImplementedError

    @property
    def compiled_methods(self) -> list[Callable]:
        """The methods that do the numeric work, from features to raw parameters."""
        return [self.forecast]

    def draw_paths(self, x, future, scale):
        """Draws sample paths `(samples, rows, horizon, per_row)`, where `config.paths`."""
        raise NotImplementedError

    def call(self, inputs, training=None):
        window = self._window(inputs)
        raw = self._windows(self.forecast(*window.rows, training))
        if self.linear:
            line = self.linear(tf.transpose(window.truth, (0, 2, 1)))  # (batch, targets, horizon)
            line = tf.transpose(line, (0, 2, 1))[..., None]
            raw += tf.pad(line, [[0, 0], [0, 0], [0, 0], [0, raw.shape[-1] - 1]])
        parameters = self.likelihood.activate(raw, window.scale)
        return self.likelihood.restore(parameters, window.shift, window.spread)

    def answer(self, inputs):
        """A point and quantiles `(batch, horizon, targets, 1 + levels)`; see the class."""
        config = self.config
        if config.paths:
            window = self._window(inputs)
            x, future, _, scale = window.rows
            paths = self.draw_paths(x, future, scale)  # (samples, rows, horizon, per_row)
            paths = self._windows(tf.transpose(paths, (1, 2, 3, 0)))
            paths = paths * window.spread[..., None] + window.shift[..., None]
            return quantiles_of(tf.transpose(paths, (3, 0, 1, 2)), (0.5, *config.levels))
        parameters = self.call(inputs, training=False)
        if config.likelihood == "quantiles":
            return parameters
        point = self.likelihood.point(parameters)[..., None]
        return tf.concat([point, self.likelihood.quantiles(parameters, config.levels)], axis=-1)

    def _window(self, inputs) -> "_Window":
        """What the network is shown of its inputs."""
        task = self.task
        inputs = {name: tf.cast(values, "float32") for name, values in inputs.items()}
        history, seen = fill_missing(inputs["history"], back=task.padded)
        truth = history[..., : task.targets]
        shift, spread = self._level(truth)  # (batch, 1, targets)
        level_free = (truth - shift) / spread
        own = [level_free]
        if task.missing:
            own.append(_flags(seen, range(task.targets)))
        covariates = [history[..., task.targets :], _flags(seen, task.gaps)]
        x = self._rows(own, tf.concat(covariates, axis=-1))  # (rows, lookback, features)
        future = teacher = scale = None
        if task.future:
            future, seen = fill_missing(inputs["future"])
            future = tf.concat([future, _flags(seen, task.future_gaps)], axis=-1)
            future = self._rows([], future)
        if "teacher" in inputs:
            known = tf.concat([truth[:, -1:], inputs["teacher"]], axis=1)
            teacher = self._rows([(fill_missing(known)[0][:, 1:] - shift) / spread])
        if "scale" in inputs:
            scale = inputs["scale"][:, None]
        rows = (x, future, teacher, None if scale is None else self._rows([scale]))
        return _Window(rows, level_free, shift, spread, scale)

    def _level(self, truth):
        """What a window loses and gets back: its shift and its spread, `(batch, 1, targets)`."""
        last = truth[:, -1:]
        if self.config.normalization == "last":
            return last, tf.ones_like(last)
        if self.config.normalization == "instance":
            mean, variance = tf.nn.moments(truth, axes=[1], keepdims=True)
            return mean, tf.sqrt(variance + 1e-4)
        return tf.zeros_like(last), tf.ones_like(last)

    def _rows(self, own: list, shared=None):
        """`(batch, time, targets)` each, and shared `(batch, time, features)`, to rows.

        The rows are `(batch * targets, time, features)`, or `(batch, time, features)` where the
        targets are forecast together.
        """
        if not self.config.independent:
            return tf.concat([*own, *([] if shared is None else [shared])], axis=-1)
        parts = [tf.transpose(one, (0, 2, 1))[..., None] for one in own]
        if shared is not None:
            parts.append(tf.repeat(shared[:, None], self.task.targets, axis=1))
        x = tf.concat(parts, axis=-1)  # (batch, targets, time, features)
        return tf.reshape(x, (-1, *x.shape[2:]))

    def _windows(self, rows):
        """`(rows, horizon, per_row, ...)` to `(batch, horizon, targets, ...)`."""
        task = self.task
        if not self.config.independent:
            return rows
        rows = tf.reshape(rows, (-1, task.targets, task.horizon, *rows.shape[3:]))
        return tf.transpose(rows, (0, 2, 1, *range(3, len(rows.shape))))

    def channel_of(self, rows):
        """Which target each row is `(rows,)`, where they are independent."""
        count = tf.shape(rows)[0] // self.task.targets
        return tf.tile(tf.range(self.task.targets), [count])

    def get_config(self):
        config = {"task": self.task.to_dict(), "config": dataclasses.asdict(self.config)}
        return {**super().get_config(), **config}


@dataclasses.dataclass(frozen=True)
class _Window:
    """Inputs as a network is shown them.

    Args:
        rows: The arguments of `forecast`: features, future covariates, teacher and scale.
        truth: The targets of the look-back without their level, `(batch, lookback, targets)`.
        shift: The level that they lost, `(batch, 1, targets)`.
        spread: What they were divided by, `(batch, 1, targets)`.
        scale: The scale of counts `(batch, 1, targets)`, or `None`.
    """

    rows: tuple[Any, ...]
    truth: Any
    shift: Any
    spread: Any
    scale: Any


@keras.saving.register_keras_serializable("rnnapps")
class DirectRNN(ForecastNetwork):
    """Recurrent layers over the look-back, whose last state gives all steps of the horizon at once.

    See `ForecastNetwork` for arguments, call arguments and output.
    """

    def __init__(self, task: Task | dict, config: NetworkConfig | dict, **kwargs):
        super().__init__(task, config, **kwargs)
        config = self.config
        self.stack = RecurrentStack(
            config.cell, config.units, config.layers, dropout=config.dropout,
            block=config.block, return_sequences=False,
        )  # fmt: skip
        self.drop = keras.layers.Dropout(config.dropout)
        self.mix = None
        if self.task.future:
            self.mix = keras.layers.Dense(config.units, "relu", name="mix")

    def build(self, inputs_shape=None):
        units, horizon = self.config.units, self.task.horizon
        self.stack.build((None, None, self.features))
        if self.mix:
            self.mix.build((None, units + horizon * self.known_ahead))
        self.head.build_for(units, horizon * self.per_row)
        super().build(inputs_shape)

    def forecast(self, x, future, teacher, scale, training):
        horizon = self.task.horizon
        x = self.stack(x, training=training)  # (rows, units)
        if self.mix:
            flat = tf.reshape(future, (-1, horizon * self.known_ahead))
            x = self.mix(tf.concat([x, tf.cast(flat, x.dtype)], axis=-1))
        raw = self.head(self.drop(x, training=training))
        return tf.reshape(raw, (-1, horizon, self.per_row, raw.shape[-1]))


class Head(keras.layers.Layer):
    """Features to raw parameters; those of quantiles do not teach the features.

    Args:
        size: Number of parameters.
        point: Whether the first parameter is a point, and the others quantiles around it.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        features: `(..., units)`.

    Output:
        `(..., steps, size)`, with the steps that `build_for` was told.
    """

    def __init__(self, size: int, point: bool, **kwargs):
        super().__init__(**kwargs)
        self.size, self.point_first = size, point

    def build_for(self, units: int, steps: int) -> None:
        """Creates the weights for features of a width, each of which stands for some steps."""
        self.steps, self.own = steps, 1 if self.point_first else self.size
        self.first = keras.layers.Dense(steps * self.own, dtype="float32", name="first")
        self.first.build((None, units))
        if self.size > self.own:
            self.rest = keras.layers.Dense(steps * (self.size - self.own), dtype="float32")
            self.rest.build((None, units))
        self.built = True

    def call(self, features):
        leading = (*_leading(features), self.steps)
        first = tf.reshape(self.first(features), (*leading, self.own))
        if self.size == self.own:
            return first
        rest = self.rest(tf.stop_gradient(features))
        return tf.concat([first, tf.reshape(rest, (*leading, self.size - self.own))], axis=-1)


def _leading(x) -> tuple:
    shape = tf.shape(x)
    return tuple(shape[i] if size is None else size for i, size in enumerate(x.shape[:-1]))


def _flags(seen, columns):
    """A one where a value is missing in these columns `(batch, time, columns)`."""
    columns = tf.constant(list(columns), tf.int32)
    return 1 - tf.cast(tf.gather(seen, columns, axis=-1), "float32")


def fill_missing(values, back: bool = False):
    """Puts the last known value, or else zero, where a value is missing.

    Args:
        values: `(batch, time, columns)`, NaN where missing.
        back: Whether the first known value stands before itself, instead of zero.

    Returns:
        The values without NaN, and which were known, both of that shape.
    """
    seen = tf.math.is_finite(values)
    known = tf.where(seen, values, tf.zeros_like(values))

    def fill():
        # Where each step's last known one lies, by looking 1, 2, 4, ... steps back.
        time = values.shape[1]
        latest = tf.where(seen, tf.range(1, time + 1)[:, None], 0)
        reach = 1
        while reach < time:
            before = tf.pad(latest[:, :-reach], [[0, 0], [reach, 0], [0, 0]])
            latest, reach = tf.maximum(latest, before), 2 * reach
        if back:  # the first step with a value; the place of zero, 0, where there is none
            first = tf.reduce_min(tf.where(latest > 0, latest, time + 1), axis=1, keepdims=True)
            latest = tf.where(latest > 0, latest, tf.where(first > time, 0, first))
        padded = tf.pad(known, [[0, 0], [1, 0], [0, 0]])
        padded = tf.transpose(padded, (0, 2, 1))
        found = tf.gather(padded, tf.transpose(latest, (0, 2, 1)), batch_dims=2)
        return tf.transpose(found, (0, 2, 1))

    return tf.cond(tf.reduce_all(seen), lambda: known, fill), seen
