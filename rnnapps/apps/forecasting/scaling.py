"""Values in their own units to scaled ones and back."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.data import Task


@keras.saving.register_keras_serializable("rnnapps")
class Scaler(keras.layers.Layer):
    """Values in their own units to scaled ones and back, for each series by its own measure.

    Targets and covariates lose their mean and are divided by their standard deviation, both of the
    training part; a covariate of zeros and ones is left as it is, since a rare one would become a
    number far from all others. The targets of a population of series are divided by how far they
    move over a horizon, on average. With `log` the targets become `log(1 + x)` before. Counts
    (`counts`) are divided by one more than their mean and keep their zero. A series that was not
    trained on is measured by its look-back; its covariates by all series that were. Values are
    float64 until their level and scale are off, so that a small change on a high level is seen.

    Args:
        task: What is forecast from what, or its `to_dict()`.
        log: Whether the targets are learned as `log(1 + x)`.
        counts: Whether the targets are counts.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        values: `history (batch, time, columns)`, `future (batch, time, future)`, or an `answer`
            `(batch, horizon, targets, 1 + levels)` to take back to its units.
        measures: What `measure` made of the history.
        part: `"history"`, `"future"` or `"answer"`; or `"scale"` for the targets' scale
            `(batch, targets)`.

    Output:
        Of the shape of `values`: float64 for an answer, else float32.
    """

    def __init__(self, task: Task | dict, log: bool = False, counts: bool = False, **kwargs):
        super().__init__(trainable=False, dtype="float64", **kwargs)
        self.task = task if isinstance(task, Task) else Task.from_dict(task)
        self.log, self.counts = log, counts
        self.lag = self.task.horizon  # over which the moves of a population's series are measured
        shape = (1 + len(self.task.series), len(self.task.columns.names))
        self.center = self.add_weight(shape, "zeros", name="center")
        self.scale = self.add_weight(shape, "ones", name="scale")

    def measure(self, history, rows=None):
        """What each window's columns lose and are divided by, `(batch, 1, columns)` each."""
        center, scale = self._known(history, rows)
        if not self.task.several:
            return center, scale
        targets = self.task.targets
        unseen = (rows == 0)[:, None, None]
        own = self._measure_window(self._logarithm(history)[..., :targets])
        pairs = zip(own, (center, scale), strict=True)
        return tuple(
            tf.concat([tf.where(unseen, mine, all_[..., :targets]), all_[..., targets:]], axis=-1)
            for mine, all_ in pairs
        )

    def _known(self, values, rows=None):
        """The measures of the series in these rows, or of the only one."""
        if rows is None:
            rows = tf.ones(tf.shape(values)[:1], tf.int32)
        return tf.gather(self.center, rows)[:, None], tf.gather(self.scale, rows)[:, None]

    def _measure_window(self, targets):
        """Mean and deviation of a window's known targets, `(batch, 1, targets)` each."""
        known = tf.math.is_finite(targets)
        count = tf.reduce_sum(tf.cast(known, "float64"), axis=1, keepdims=True)

        def mean(values):
            total = tf.reduce_sum(tf.where(known, values, 0), axis=1, keepdims=True)
            return tf.math.divide_no_nan(total, count)

        center = mean(targets)
        if self.counts:
            return tf.zeros_like(center), 1 + center
        spread = tf.sqrt(mean((targets - center) ** 2))
        if self.task.population and self.lag < self.task.lookback:
            moves = tf.abs(targets[:, self.lag :] - targets[:, : -self.lag])
            known = tf.math.is_finite(moves)
            count = tf.reduce_sum(tf.cast(known, "float64"), axis=1, keepdims=True)
            moved = mean(moves)
            spread = tf.where(moved > 0, moved, spread)
        return center, tf.where(spread > 0, spread, 1)

    def _logarithm(self, values):
        """The history with the targets as they are learned, float64."""
        values = tf.cast(values, "float64")
        if not self.log:
            return values
        ours, others = values[..., : self.task.targets], values[..., self.task.targets :]
        return tf.concat([tf.math.log1p(tf.maximum(ours, -0.999)), others], axis=-1)

    def call(self, values, measures=None, part="history"):
        targets, future = self.task.targets, self.task.future
        if not isinstance(measures, tuple):  # the rows, in the models of version 0.1.0
            measures = self._known(values, measures)
        center, scale = measures
        if part == "scale":
            return tf.cast(scale[:, 0, :targets], "float32")
        if part == "future":
            return tf.cast((values - center[..., -future:]) / scale[..., -future:], "float32")
        if part == "history":
            return tf.cast((self._logarithm(values) - center) / scale, "float32")
        values = tf.cast(values, "float64")
        restored = values * scale[..., :targets, None] + center[..., :targets, None]
        restored = tf.math.expm1(restored) if self.log else restored
        if not any(one is not None for one in self.task.lower):
            return restored
        lower = [-np.inf if one is None else one for one in self.task.lower]
        return tf.maximum(restored, tf.constant(lower, restored.dtype)[:, None])

    def compute_output_spec(self, values, measures=None, part="history"):
        shape = (values.shape[0], self.task.targets) if part == "scale" else values.shape
        return keras.KerasTensor(shape, "float64" if part == "answer" else "float32")

    def adapt(self, parts: Sequence[np.ndarray]) -> None:
        """Measures the training part of each series, `(time, columns)`."""
        measured = [self._measure(part) for part in (np.concatenate(parts), *parts)]
        center, scale = (np.stack(column) for column in zip(*measured, strict=True))
        targets = self.task.targets
        static = slice(targets, targets + len(self.task.columns.static_names))
        center[:, static], scale[:, static] = center[0, static], scale[0, static]
        self.center.assign(center)
        # Where a covariate never moves in one series, it is measured as in all of them, and a
        # target as in the others on average, whose levels may lie far apart; what moves in none
        # has taught the network nothing, and is 0 whatever it is later.
        own = scale[1:, :targets]
        scale[0, :targets] = own.sum(0) / np.maximum(1, (own > 0).sum(0))
        scale = np.where(scale > 0, scale, scale[:1])
        still = np.where(np.arange(scale.shape[1]) < self.task.targets, 1.0, np.inf)
        self.scale.assign(np.where(scale > 0, scale, still))

    def _measure(self, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns, targets = self.task.columns, self.task.targets
        part = self._learned(part)
        known = np.isfinite(part)
        center, scale = mean_and_deviation(part)
        if self.counts:
            scale[:targets], center[:targets] = 1 + center[:targets], 0
        elif self.task.population:
            moves = part[self.lag :, :targets] - part[: -self.lag, :targets]
            moved = known_mean(np.abs(moves, out=moves))
            scale[:targets] = np.where(moved > 0, moved, scale[:targets])
        plain = ~known.any(0) | (~known | (part == 0) | (part == 1)).all(0)
        plain |= [
            name not in (*columns.static, *columns.past, *columns.future) for name in columns.names
        ]
        plain[:targets] = False
        return np.where(plain, 0, center), np.where(plain, scale > 0, scale)

    def scaled(self, series: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scales whole series `(time, columns)`, given in the order of the task's."""
        measures = zip(self.center.numpy()[1:], self.scale.numpy()[1:], strict=True)
        found = []
        for one, (center, scale) in zip(series, measures, strict=True):
            found.append(((self._learned(one) - center) / scale).astype(np.float32))
        return found

    def spread(self, history: np.ndarray, rows, values: np.ndarray) -> np.ndarray:
        """A deviation around values `(batch, horizon, targets)`, as large as it is in their series.

        Args:
            history: What precedes them, `(batch, lookback, columns)`.
            rows: The rows of their series, `(batch,)`; `None` for the only one.
            values: The values.
        """
        _, scale = self.measure(history, rows)
        return scale.numpy()[..., : self.task.targets] * (1 + np.abs(values) * self.log)

    def _learned(self, part: np.ndarray) -> np.ndarray:
        """What `_logarithm` makes of a part, in NumPy: there may be thousands of series."""
        if not self.log:
            return part
        part = part.copy()
        ours = part[:, : self.task.targets]
        np.log1p(np.maximum(ours, -0.999, out=ours), out=ours)
        return part

    def get_config(self):
        return {"name": self.name, "task": self.task.to_dict(), "log": self.log,
                "counts": self.counts}  # fmt: skip


def known_mean(values: np.ndarray) -> np.ndarray:
    """The mean `(columns,)` of what is known of values `(time, columns)`; 0 where nothing is."""
    known = np.isfinite(values)
    return values.sum(0, where=known) / np.maximum(1, known.sum(0))


def mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation `(columns,)` of what is known of values `(time, columns)`.

    The deviation of a constant is 0, and not what rounding leaves of it.
    """
    mean, known = known_mean(values), np.isfinite(values)
    least = values.min(0, initial=np.inf, where=known)
    moves = (known & (values > least)).any(0)
    off = values - mean
    return mean, np.where(moves, np.sqrt(known_mean(np.square(off, out=off))), 0)
