"""What all networks share: missing values, what a window loses and gets back, rows for targets."""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from rnnapps.apps.forecasting.likelihoods import make_likelihood, quantiles_of

_SEED = (20, 26)  # of sample paths: the same history gets the same answer


@dataclasses.dataclass(frozen=True)
class Plan:
    """The shape of a network.

    Args:
        lookback: Steps that it sees.
        horizon: Steps that it forecasts.
        targets: Number of targets, the first columns of the history.
        columns: Number of columns of the history.
        future: Number of future covariates, the last columns.
        missing: Whether targets can be missing, so that the network is to see which.
        gaps: Columns of covariates in which values can be.
        independent: Whether each target is forecast by itself.
        normalization: `"last"`, `"instance"` or `"none"`.
        cell: A name of `rnnapps.config.CELLS`.
        units: Units of the cell.
        layers: Recurrent layers.
        dropout: Share of units dropped.
        output: Name of the likelihood.
        levels: Levels of the quantiles.
        loss: What the point minimises.
        samples: Sample paths of a distribution.
        segment: Steps of a segment.
        linear: Whether a linear map from the look-back to the horizon runs beside the network.
        paths: Whether each path's next step depends on what was drawn for the one before.
    """

    lookback: int
    horizon: int
    targets: int
    columns: int
    future: int = 0
    missing: bool = False
    gaps: tuple[int, ...] = ()
    independent: bool = True
    normalization: str = "last"
    cell: str = "gru"
    units: int = 256
    layers: int = 1
    dropout: float = 0.0
    output: str = "quantiles"
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    loss: str = "mae"
    samples: int = 200
    segment: int = 24
    linear: bool = False
    paths: bool = False

    @property
    def variables(self) -> int:
        """Targets that a row of the network forecasts."""
        return 1 if self.independent else self.targets

    @property
    def features(self) -> int:
        """Numbers that a row of the network sees at each step."""
        own = self.variables * (2 if self.missing else 1)
        return own + self.columns - self.targets + len(self.gaps)

    @property
    def future_gaps(self) -> tuple[int, ...]:
        """Future covariates in which values can be missing, counted from the first of them."""
        first = self.columns - self.future
        return tuple(column - first for column in self.gaps if column >= first)

    @property
    def ahead(self) -> int:
        """Numbers that a row of the network is told of each step of the horizon."""
        return self.future + len(self.future_gaps)


class Network(keras.layers.Layer):
    """A forecaster of scaled values. Subclasses say how, in `forecast`.

    With `plan.linear` what they say is added to a linear map of the targets' look-back.

    A window's targets lose their last value, or their mean and spread, and get them back at the
    end. With independent channels each target of each window is a row of its own, beside the
    covariates. Missing values become the last known ones; whether they are is a feature.

    Args:
        plan: The shape, or its fields as a dictionary.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: A dictionary of `history (batch, lookback, columns)`, NaN where missing; `future
            (batch, horizon, future)` where there are such covariates; where they are wanted,
            `teacher (batch, horizon, targets)`, the truth, and `scale (batch, targets)`.
        answer: Whether to answer instead of stating parameters.
        training: Whether to apply dropout.

    Output:
        The likelihood's parameters `(batch, horizon, targets, parameters)`, or with `answer=True`
        a point and quantiles `(batch, horizon, targets, 1 + levels)`.
    """

    def __init__(self, plan: Plan | dict, **kwargs):
        # The layers within cast for themselves; levels and parameters stay float32.
        super().__init__(autocast=False, **kwargs)
        if not isinstance(plan, Plan):  # JSON has no tuples
            plan = Plan(**{k: tuple(v) if isinstance(v, list) else v for k, v in plan.items()})
        self.plan = plan
        self.likelihood = make_likelihood(self.plan.output, self.plan.levels, self.plan.loss)
        self.head = Head(self.likelihood.size, self.plan.output == "quantiles", name="head")
        self.linear = None
        if self.plan.linear:
            self.linear = keras.layers.Dense(
                self.plan.horizon, kernel_initializer="zeros", dtype="float32", name="linear"
            )

    def forecast(self, x, future, teacher, scale, training):
        """Forecasts rows.

        Args:
            x: `(rows, lookback, features)`.
            future: `(rows, horizon, future)`, or `None`.
            teacher: `(rows, horizon, variables)`, or `None`.
            scale: `(rows, 1, variables)`, or `None`.
            training: Whether to apply dropout.

        Returns:
            Raw parameters `(rows, horizon, variables, size)`.
        """
        raise NotImplementedError

    @property
    def core(self) -> list[Callable]:
        """The methods that do the numeric work, from features to raw parameters."""
        return [self.forecast]

    def draw_paths(self, x, future, scale):
        """Draws sample paths `(samples, rows, horizon, variables)`, where `plan.paths`."""
        raise NotImplementedError

    def call(self, inputs, answer=False, training=None):
        plan = self.plan
        inputs = {name: tf.cast(values, "float32") for name, values in inputs.items()}
        history, seen = fill_missing(inputs["history"])
        truth = history[..., : plan.targets]
        shift, spread = self._level(truth)  # (batch, 1, targets)
        parts = [(truth - shift) / spread]
        if plan.missing:
            parts.append(_flags(seen, range(plan.targets)))
        covariates = [history[..., plan.targets :], _flags(seen, plan.gaps)]
        x = self._rows(parts, tf.concat(covariates, axis=-1))  # (rows, lookback, features)
        future = None
        if plan.future:
            future, seen = fill_missing(inputs["future"])
            future = tf.concat([future, _flags(seen, plan.future_gaps)], axis=-1)
            future = self._rows([], future)
        scale = self._rows([inputs["scale"][:, None]]) if "scale" in inputs else None
        teacher = None
        if "teacher" in inputs:
            known = tf.concat([truth[:, -1:], inputs["teacher"]], axis=1)
            teacher = self._rows([(fill_missing(known)[0][:, 1:] - shift) / spread])
        if answer and plan.paths:
            paths = self.draw_paths(x, future, scale)  # (samples, rows, horizon, variables)
            paths = tf.transpose(paths, (1, 2, 3, 0))
            paths = self._windows(paths) * spread[..., None] + shift[..., None]
            return self._summary(tf.transpose(paths, (3, 0, 1, 2)))
        raw = self._windows(self.forecast(x, future, teacher, scale, training))
        if self.linear:
            line = self.linear(tf.transpose(parts[0], (0, 2, 1)))  # (batch, targets, horizon)
            line = tf.transpose(line, (0, 2, 1))[..., None]
            raw += tf.pad(line, [[0, 0], [0, 0], [0, 0], [0, raw.shape[-1] - 1]])
        scale = inputs["scale"][:, None] if "scale" in inputs else None
        parameters = self.likelihood.activate(raw, scale)
        parameters = self.likelihood.restore(parameters, shift, spread)
        if not answer or plan.output == "quantiles":
            return parameters
        samples = self.likelihood.sample(parameters, plan.samples, tf.constant(_SEED))
        return self._summary(samples, self.likelihood.point(parameters))

    def _summary(self, samples, point=None):
        """A point and quantiles `(..., 1 + levels)` of samples `(samples, ...)`."""
        point = quantiles_of(samples, (0.5,)) if point is None else point[..., None]
        return tf.concat([point, quantiles_of(samples, self.plan.levels)], axis=-1)

    def _level(self, truth):
        """What a window loses and gets back: its shift and its spread, `(batch, 1, targets)`."""
        last = truth[:, -1:]
        if self.plan.normalization == "last":
            return last, tf.ones_like(last)
        if self.plan.normalization == "instance":
            mean, variance = tf.nn.moments(truth, axes=[1], keepdims=True)
            return mean, tf.sqrt(variance + 1e-4)
        return tf.zeros_like(last), tf.ones_like(last)

    def _rows(self, own: list, shared=None):
        """`(batch, time, targets)` each, and shared `(batch, time, features)`, to rows.

        The rows are `(batch * targets, time, features)`, or `(batch, time, features)` where the
        targets are forecast together.
        """
        if not self.plan.independent:
            return tf.concat([*own, *([] if shared is None else [shared])], axis=-1)
        parts = [tf.transpose(one, (0, 2, 1))[..., None] for one in own]
        if shared is not None:
            parts.append(tf.repeat(shared[:, None], self.plan.targets, axis=1))
        x = tf.concat(parts, axis=-1)  # (batch, targets, time, features)
        return tf.reshape(x, (-1, *x.shape[2:]))

    def _windows(self, rows):
        """`(rows, horizon, variables, ...)` to `(batch, horizon, targets, ...)`."""
        plan = self.plan
        if not plan.independent:
            return rows
        rows = tf.reshape(rows, (-1, plan.targets, plan.horizon, *rows.shape[3:]))
        return tf.transpose(rows, (0, 2, 1, *range(3, len(rows.shape))))

    def channel_of(self, rows):
        """Which target each row is `(rows,)`, where they are independent."""
        count = tf.shape(rows)[0] // self.plan.targets
        return tf.tile(tf.range(self.plan.targets), [count])

    def get_config(self):
        return {**super().get_config(), "plan": dataclasses.asdict(self.plan)}


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


def fill_missing(values):
    """Puts the last known value, or else zero, where a value is missing.

    Args:
        values: `(batch, time, columns)`, NaN where missing.

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
        padded = tf.pad(known, [[0, 0], [1, 0], [0, 0]])
        padded = tf.transpose(padded, (0, 2, 1))
        found = tf.gather(padded, tf.transpose(latest, (0, 2, 1)), batch_dims=2)
        return tf.transpose(found, (0, 2, 1))

    return tf.cond(tf.reduce_all(seen), lambda: known, fill), seen
