"""Histories in their own units to forecasts in them, and what an export says of it."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Parts, Task
from rnnapps.apps.forecasting.encoder_decoder import ScheduledSampling
from rnnapps.apps.forecasting.model import build_network, inputs_of, named_rows
from rnnapps.apps.forecasting.networks import ForecastNetwork
from rnnapps.data import Windows
from rnnapps.probabilistic import ConformalCalibration, ForecastLoss, PointError
from rnnapps.progress import working
from rnnapps.serving import ExportSpec, Signature
from rnnapps.training import Rows, compile_model, fit, precision, strategy_of

_STEPS = 150  # of an epoch, about; where windows are few, it takes each several times
_CALIBRATION = 2000  # windows, at most, on which intervals are calibrated


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
class ForecastPipeline(keras.Model):
    """Scales a history, forecasts, calibrates the intervals, and takes them back to their units.

    Args:
        scaler: The adapted `Scaler`.
        network: The trained network.
        calibrate: The intervals' calibration; fitted later, by `calibrate_intervals`.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: A dictionary, in the data's own units, of `history (batch, lookback, columns)`, NaN
            where missing, `future_covariates (batch, horizon, future)` where there are such, and
            `series (batch,)`, names, where there are several.

    Output:
        A dictionary of `forecast (batch, horizon, targets)` and `quantiles (batch, horizon,
        targets, levels)`, float64.
    """

    def __init__(
        self,
        scaler: Scaler,
        network: ForecastNetwork,
        calibrate: ConformalCalibration,
        **kwargs,
    ):
        super().__init__(dtype="float64", **kwargs)  # or Keras would round what it is given
        self.scaler, self.network, self.calibrate = scaler, network, calibrate
        task, self.lookup = scaler.task, None
        if task.several:
            self.lookup = keras.layers.StringLookup(vocabulary=list(task.series), name="lookup")
        if not network.built:
            network.build()
        if not calibrate.built:
            calibrate.build((None, task.horizon, task.targets, 1 + len(calibrate.levels)))
        self.built = True

    def call(self, inputs):
        rows = self.lookup(inputs["series"]) if self.lookup else None
        scaled = {"history": self.scaler(inputs["history"], rows)}
        if self.scaler.task.future:
            scaled["future"] = self.scaler(inputs["future_covariates"], rows, part="future")
        if self.scaler.counts:
            scaled["scale"] = self.scaler(inputs["history"], rows, part="scale")
        answer = self.network.answer(scaled)  # (batch, horizon, targets, 1 + levels)
        answer = self.scaler(self.calibrate(answer), rows, part="answer")
        return {"forecast": answer[..., 0], "quantiles": answer[..., 1:]}

    def get_config(self):
        parts = {"scaler": self.scaler, "network": self.network, "calibrate": self.calibrate}
        return {k: keras.saving.serialize_keras_object(one) for k, one in parts.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


def train_pipeline(
    parts: Parts,
    config: ForecastingConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: pathlib.Path | None = None,
    start: Callable[[ForecastNetwork, dict[str, Rows]], None] | None = None,
) -> tuple[ForecastPipeline, list[dict[str, float]]]:
    """Trains a network on parts, and calibrates its intervals.

    Args:
        parts: The series.
        config: The configuration.
        callbacks: Callbacks of the training.
        checkpoint_dir: Where the training's state is kept, if anywhere.
        start: What gives the network its first weights, where they are not random.

    Returns:
        The forecaster, and the metrics of each epoch.
    """
    task, counts = parts.task, config.likelihood == "negative_binomial"
    scaler = Scaler(task, config.log, counts, name="scaler")
    scaler.adapt(parts.training)
    inputs = inputs_of(config, task)
    count = sum(last - first for first, last in parts.spans("train"))
    passes = max(1, _STEPS * config.batch_size // count)
    windows = scaled_windows(parts, "train", scaler, config, inputs, passes=passes)
    validation = scaled_windows(parts, "validation", scaler, config, inputs)
    keras.utils.set_random_seed(config.seed)
    with strategy_of(config).scope(), precision(config.precision):
        model = build_network(config, task)
        network = model.get_layer("network")
        if start:
            start(network, named_rows(task))
        compile_model(
            model,
            config,
            steps=config.epochs * len(windows),
            loss=ForecastLoss(network.likelihood),
            metrics=[PointError(network.likelihood, kind) for kind in ("mae", "mse")],
        )
    callbacks = [*callbacks]
    if config.model == "encoder_decoder":
        callbacks.append(ScheduledSampling(network, config.teacher_forcing, config.epochs))
    history = fit(
        model, windows, validation.one_pass(), config, config.epochs, checkpoint_dir, callbacks
    )
    calibrate = ConformalCalibration(config.quantiles, name="calibrate")
    pipeline = ForecastPipeline(scaler, network, calibrate, name="forecaster")
    if config.conformal and len(config.quantiles) > 1:
        with working("calibrating the intervals"):
            calibrate_intervals(pipeline, parts, config, inputs)
    return pipeline, history


def scaled_windows(
    parts: Parts,
    part: str,
    scaler: Scaler,
    config: ForecastingConfig,
    inputs: Sequence[str],
    stride: int = 1,
    passes: int = 1,
) -> Windows:
    """The windows that a network sees.

    Args:
        parts: The series.
        part: `"train"`, `"validation"` or `"test"`.
        scaler: The adapted scaler.
        config: Its `batch_size` and `seed` are read.
        inputs: What a batch holds; see `Windows`.
        stride: Steps between origins.
        passes: Times that each window comes in an epoch.

    Returns:
        The windows.
    """
    return Windows(
        scaler.scaled(parts.values),
        parts.spans(part),
        parts.task,
        config.batch_size,
        stride=stride,
        scales=scaler.scale.numpy()[1:, : parts.task.targets],
        inputs=tuple(inputs),
        passes=passes,
        seed=config.seed,
    )


def calibrate_intervals(
    model: ForecastPipeline, parts: Parts, config: ForecastingConfig, inputs: Sequence[str]
) -> None:
    """Calibrates a forecaster's intervals on the validation part.

    Args:
        model: The forecaster.
        parts: The series.
        config: The configuration.
        inputs: What the network's batches hold.
    """
    windows = scaled_windows(parts, "validation", model.scaler, config, inputs)
    stride = -(-windows.count // _CALIBRATION)
    if stride > 1:
        windows = scaled_windows(parts, "validation", model.scaler, config, inputs, stride)

    @tf.function(autograph=False)
    def answer(inputs):
        return model.network.answer({k: v for k, v in inputs.items() if k != "teacher"})

    pairs = [(truth.numpy(), answer(inputs).numpy()) for inputs, truth, _ in windows.one_pass()]
    truth, answers = (np.concatenate(column) for column in zip(*pairs, strict=True))
    model.calibrate.adapt(truth[: windows.count], answers[: windows.count])


def serving_spec(model: keras.Model, config: ForecastingConfig) -> ExportSpec:
    """What an export answers.

    Args:
        model: The forecaster.
        config: Its configuration.

    Returns:
        The signature `serving_default`, whose example has missing values in it, and the asset
        `task.json`.
    """
    scaler, network = model.get_layer("scaler"), model.get_layer("network")
    task = scaler.task
    level = np.ones(len(task.columns.names)) if scaler.log else scaler.center.numpy()[0]
    history = np.tile(level, (2, task.lookback, 1)).astype(np.float32)
    history[1, ::3] = np.nan
    example = {"history": tf.constant(history)}
    if task.future:
        example["future_covariates"] = tf.zeros((2, task.horizon, task.future))
    if task.several:
        example["series"] = tf.constant([task.series[0], "never seen"])
    specs = [tf.TensorSpec((None, *x.shape[1:]), x.dtype, name) for name, x in example.items()]

    def answer(*tensors):  # numbers come and go as float32
        found = model(dict(zip(example, tensors, strict=True)))
        return {name: tf.cast(values, tf.float32) for name, values in found.items()}

    signature = Signature(answer, specs, list(example.values()))
    tables = [layer for layer in model.layers if layer.name == "lookup"]
    assets = {"task.json": describe(task, config)}
    return ExportSpec({"serving_default": signature}, network.compiled_methods, tables, assets)


def describe(task: Task, config: ForecastingConfig) -> str:
    """What a client needs to know, as JSON: columns, units, step, look-back, horizon, levels."""
    described = {
        "history": task.columns.names,
        "future_covariates": task.columns.future_names,
        "targets": task.columns.targets,
        "units": dict(zip(task.columns.targets, config.target_units, strict=False)),
        "freq": task.columns.freq,
        "lookback": task.lookback,
        "horizon": task.horizon,
        "quantiles": config.quantiles,
        "series": task.series if task.several else (),
        "columns": dataclasses.asdict(task.columns),
        "notes": task.notes,
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
