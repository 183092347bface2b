"""Units to scaled values and back, and intervals that are as wide as their errors ask for."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.task import Task

_FEW = 100  # windows; below, all steps of the horizon share a margin


@keras.saving.register_keras_serializable("rnnapps")
class Scaler(keras.layers.Layer):
    """Values in their own units to scaled ones and back, for each series by its own measure.

    Targets and covariates lose their mean and are divided by their standard deviation, both of the
    training part; a covariate of zeros and ones is left as it is, since a rare one would become a
    number far from all others; with `log` the targets become `log(1 + x)` before. Counts (`counts`)
    are divided by one more than their mean and keep their zero. A series that was not trained on is
    measured by all that were, together. Values are float64 until their level and scale are off, so
    that a small change on a high level is seen.

    Args:
        task: What is forecast from what, or its `to_dict()`.
        log: Whether the targets are learned as `log(1 + x)`.
        counts: Whether the targets are counts.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        values: `history (batch, time, columns)`, `future (batch, time, future)`, or an `answer`
            `(batch, horizon, targets, 1 + levels)` to take back to its units.
        rows: Each window's series `(batch,)`, counted from 1, 0 for one that was not trained on;
            `None` where there is only one.
        part: `"history"`, `"future"` or `"answer"`; or `"scale"` for the targets' scale
            `(batch, targets)`.

    Output:
        Of the shape of `values`: float64 for an answer, else float32.
    """

    def __init__(self, task: Task | dict, log: bool = False, counts: bool = False, **kwargs):
        super().__init__(trainable=False, dtype="float64", **kwargs)
        self.task = task if isinstance(task, Task) else Task.from_dict(task)
        self.log, self.counts = log, counts
        shape = (1 + len(self.task.series), len(self.task.columns.names))
        self.center = self.add_weight(shape, "zeros", name="center")
        self.scale = self.add_weight(shape, "ones", name="scale")

    def call(self, values, rows=None, part="history"):
        targets, future = self.task.targets, self.task.future
        if rows is None:
            rows = tf.ones(tf.shape(values)[:1], tf.int32)
        center = tf.gather(self.center, rows)[:, None]  # (batch, 1, columns)
        scale = tf.gather(self.scale, rows)[:, None]
        if part == "scale":
            return tf.cast(scale[:, 0, :targets], "float32")
        if part == "future":
            return tf.cast((values - center[..., -future:]) / scale[..., -future:], "float32")
        if part == "history":
            if self.log:
                ours, others = values[..., :targets], values[..., targets:]
                values = tf.concat([tf.math.log1p(tf.maximum(ours, -0.999)), others], axis=-1)
            return tf.cast((values - center) / scale, "float32")
        restored = values * scale[..., :targets, None] + center[..., :targets, None]
        restored = tf.math.expm1(restored) if self.log else restored
        if not any(one is not None for one in self.task.lower):
            return restored
        lower = [-np.inf if one is None else one for one in self.task.lower]
        return tf.maximum(restored, tf.constant(lower, restored.dtype)[:, None])

    def compute_output_spec(self, values, rows=None, part="history"):
        shape = (values.shape[0], self.task.targets) if part == "scale" else values.shape
        return keras.KerasTensor(shape, "float64" if part == "answer" else "float32")

    def adapt(self, parts: Sequence[np.ndarray]) -> None:
        """Measures the training part of each series, `(time, columns)`."""
        measured = [self._measure(part) for part in (np.concatenate(parts), *parts)]
        center, scale = (np.stack(column) for column in zip(*measured, strict=True))
        self.center.assign(center)
        # Where a covariate never moves in one series, it is measured as in all of them; what moves
        # in none has taught the network nothing, and is 0 whatever it is later.
        scale = np.where(scale > 0, scale, scale[:1])
        still = np.where(np.arange(scale.shape[1]) < self.task.targets, 1.0, np.inf)
        self.scale.assign(np.where(scale > 0, scale, still))

    def _measure(self, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns, targets = self.task.columns, self.task.targets
        part = part.astype(float)
        if self.log:
            part[:, :targets] = np.log1p(part[:, :targets])
        known = np.isfinite(part)
        count = np.maximum(1, known.sum(0))
        center = np.where(known, part, 0).sum(0) / count
        scale = np.sqrt(np.where(known, (part - center) ** 2, 0).sum(0) / count)
        if self.counts:
            scale[:targets], center[:targets] = 1 + center[:targets], 0
        plain = ~known.any(0) | (~known | (part == 0) | (part == 1)).all(0)
        plain |= [name not in (*columns.past, *columns.future) for name in columns.names]
        plain[:targets] = False
        return np.where(plain, 0, center), np.where(plain, scale > 0, scale)

    def scaled(self, series: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Scales whole series `(time, columns)`, given in the order of the task's."""
        return [self(one[None], tf.constant([i]))[0].numpy() for i, one in enumerate(series, 1)]

    def get_config(self):
        return {"name": self.name, "task": self.task.to_dict(), "log": self.log,
                "counts": self.counts}  # fmt: skip


@keras.saving.register_keras_serializable("rnnapps")
class Calibrate(keras.layers.Layer):
    """Moves each pair of quantiles apart or together by a margin that held-out errors ask for.

    The margin of an interval is the quantile, at the interval's own level, of how far held-out
    values lay outside it (less than nothing, where they lay inside, and then as a share of its
    width); each target and each step of the horizon has its own. An interval that is too narrow is
    thus widened by an amount, and one that is too wide loses a share of its width: were that an
    amount, too, the intervals of an unusual window would collapse. They stay within each other,
    and around the point.

    Args:
        levels: The quantiles' levels.
        relative: Whether intervals lose a share of their width, not an amount.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        answer: Point and quantiles `(batch, horizon, targets, 1 + levels)`.

    Output:
        The same, calibrated.

    Reference:
        - [Romano et al., 2019](https://arxiv.org/abs/1905.03222)
    """

    def __init__(self, levels: Sequence[float], relative: bool = False, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.levels, self.relative = tuple(levels), relative

    def build(self, answer_shape):
        shape = (*answer_shape[1:3], len(self.levels) // 2)
        self.margins = self.add_weight(shape, "zeros", name="margins")

    def call(self, answer):
        point, pairs = answer[..., 0], len(self.levels) // 2
        low = high = point
        lows, highs = [], []
        for pair in reversed(range(pairs)):  # from the inside outwards
            below, above = answer[..., 1 + pair], answer[..., len(self.levels) - pair]
            margin = self.margins[..., pair]
            if self.relative:
                margin = tf.where(margin < 0, margin * (above - below), margin)
            low, high = tf.minimum(low, below - margin), tf.maximum(high, above + margin)
            lows, highs = [low, *lows], [*highs, high]
        middle = [answer[..., 1 + pairs]] if len(self.levels) % 2 else []
        middle = [tf.clip_by_value(one, lows[-1], highs[0]) for one in middle] if pairs else middle
        return tf.stack([point, *lows, *middle, *highs], axis=-1)

    def adapt(self, truth: np.ndarray, answer: np.ndarray) -> None:
        """Finds the margins.

        Args:
            truth: Held-out values `(windows, horizon, targets)`, NaN where missing.
            answer: What was said of them, `(windows, horizon, targets, 1 + levels)`.
        """
        margins = np.zeros(self.margins.shape, np.float32)
        for pair, level in enumerate(self.levels[: len(self.levels) // 2]):
            low, high = answer[..., 1 + pair], answer[..., len(self.levels) - pair]
            outside = np.maximum(low - truth, truth - high)
            if self.relative:  # only in an interval of some width does a value lie inside
                outside /= np.where(outside < 0, high - low, 1)
            for target in range(truth.shape[2]):
                scores = outside[:, :, target]
                if len(truth) < _FEW:
                    margins[:, target, pair] = _margin(scores.ravel(), 1 - 2 * level)
                else:
                    margins[:, target, pair] = [_margin(s, 1 - 2 * level) for s in scores.T]
        self.margins.assign(margins)

    def get_config(self):
        return {"name": self.name, "levels": list(self.levels), "relative": self.relative}


def _margin(scores: np.ndarray, share: float) -> float:
    """The score below which this share lies, of one more than there are."""
    scores = np.sort(scores[np.isfinite(scores)])
    if not len(scores):
        return 0.0
    rank = min(len(scores), int(np.ceil((len(scores) + 1) * share)))
    return float(scores[rank - 1])
