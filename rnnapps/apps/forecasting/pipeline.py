"""Histories in their own units to forecasts in them, and what an export says of it."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.baseline import MOST_PAIRS, ridge_map
from rnnapps.apps.forecasting.combination import Combination
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Parts, Task
from rnnapps.apps.forecasting.encoder_decoder import ScheduledSampling
from rnnapps.apps.forecasting.ensemble import Ensemble
from rnnapps.apps.forecasting.model import build_network, inputs_of, named_rows
from rnnapps.apps.forecasting.networks import ForecastNetwork
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.data import Windows
from rnnapps.data.holidays import holidays_end
from rnnapps.probabilistic import ConformalCalibration, ForecastLoss, PointError
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec, Signature
from rnnapps.training import Rows, compile_model, fit, members, precision, strategy_of

_STEPS = 150  # of an epoch, about; where windows are few, it takes each several times
_LONGEST = 600  # steps of an epoch, at most; where windows are many, it takes some of them
_CALIBRATION = 2000  # windows, at most, that weigh and calibrate


@keras.saving.register_keras_serializable("rnnapps")
class ForecastPipeline(keras.Model):
    """Scales a history, forecasts, calibrates the intervals, and takes them back to their units.

    Args:
        scaler: The adapted `Scaler`.
        network: The trained network, or several.
        calibrate: The intervals' calibration; fitted later, by `fit_beside`.
        combine: What the network's forecast is combined with; `None` for the network alone.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        inputs: A dictionary, in the data's own units, of `history (batch, lookback, columns)`, NaN
            where missing, `future_covariates (batch, horizon, future)` where there are such, and
            `series (batch,)`, names, where there are several.

    Output:
        A dictionary of `forecast (batch, horizon, targets)`, `quantiles (batch, horizon,
        targets, levels)` and, where forecasts are combined, the network's own, `network (batch,
        horizon, targets)`; float64.
    """

    def __init__(
        self,
        scaler: Scaler,
        network: ForecastNetwork | Ensemble,
        calibrate: ConformalCalibration,
        combine: Combination | None = None,
        **kwargs,
    ):
        super().__init__(dtype="float64", **kwargs)  # or Keras would round what it is given
        self.scaler, self.network, self.calibrate = scaler, network, calibrate
        self.combine = combine
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
        measures = self.scaler.measure(inputs["history"], rows)
        scaled = {"history": self.scaler(inputs["history"], measures)}
        if self.scaler.task.future:
            scaled["future"] = self.scaler(inputs["future_covariates"], measures, part="future")
        if self.scaler.counts:
            scaled["scale"] = self.scaler(inputs["history"], measures, part="scale")
        answer = self.network.answer(scaled)  # (batch, horizon, targets, 1 + levels)
        found = {}
        if self.combine:
            alone = self.scaler(answer[..., :1], measures, part="answer")
            found["network"] = alone[..., 0]
            answer = self.combine(scaled["history"], answer)
        answer = self.scaler(self.calibrate(answer), measures, part="answer")
        return {"forecast": answer[..., 0], "quantiles": answer[..., 1:], **found}

    def get_config(self):
        parts = {"scaler": self.scaler, "network": self.network, "calibrate": self.calibrate}
        if self.combine:
            parts["combine"] = self.combine
        return {k: keras.saving.serialize_keras_object(one) for k, one in parts.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


def train_pipeline(
    parts: Parts,
    config: ForecastingConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: pathlib.Path | None = None,
    start: Callable[..., None] | None = None,
) -> tuple[ForecastPipeline, list[dict[str, float]]]:
    """Trains networks on parts, weighs them beside what needs no training, and calibrates.

    Args:
        parts: The series.
        config: The configuration.
        callbacks: Callbacks of the training.
        checkpoint_dir: Where the training's state is kept, if anywhere.
        start: What gives the network of a `number` its first weights, where they are not random.

    Returns:
        The forecaster, and the metrics of each epoch; of several networks those of the first.
    """
    scaler = Scaler(parts.task, parts.task.log or config.log, counts_in(config), name="scaler")
    scaler.adapt(parts.training)
    networks, histories = [], []
    for number, own, folder in members(config, config.ensemble, checkpoint_dir):
        begin = functools.partial(start, number=number) if start else None
        network, history = train_network(parts, own, scaler, callbacks, folder, begin)
        networks.append(network)
        histories.append(history)
    network = networks[0] if config.ensemble == 1 else Ensemble(networks, name="network")
    pipeline = assemble(scaler, network, config)
    fit_beside(pipeline, parts, config, tuple(inputs_of(config, parts.task)))
    return pipeline, histories[0]


def counts_in(config: ForecastingConfig) -> bool:
    """Whether the targets are learned as counts."""
    return config.likelihood == "negative_binomial"


def train_network(
    parts: Parts,
    config: ForecastingConfig,
    scaler: Scaler,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: pathlib.Path | None = None,
    start: Callable[[ForecastNetwork, dict[str, Rows]], None] | None = None,
) -> tuple[ForecastNetwork, list[dict[str, float]]]:
    """Trains one network.

    Args:
        parts: The series.
        config: The configuration.
        scaler: The adapted scaler.
        callbacks: Callbacks of the training.
        checkpoint_dir: Where the training's state is kept, if anywhere.
        start: What gives the network its first weights, where they are not random.

    Returns:
        The network, and the metrics of each epoch.
    """
    task = parts.task
    inputs = inputs_of(config, task)
    count = sum(last - first for first, last in parts.spans("train"))
    passes = max(1, _STEPS * config.batch_size // count)
    windows = scaled_windows(parts, "train", scaler, config, inputs, passes=passes)
    held = sum(last - first for first, last in parts.spans("validation"))
    stride = -(-held // (_LONGEST * config.batch_size))
    validation = scaled_windows(parts, "validation", scaler, config, inputs, stride)
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
    return network, history


def assemble(
    scaler: Scaler, network: ForecastNetwork | Ensemble, config: ForecastingConfig
) -> ForecastPipeline:
    """The forecaster of a scaler and a network, with what `fit_beside` is to fit."""
    calibrate = ConformalCalibration(config.quantiles, name="calibrate")
    combine = Combination(scaler.task, name="combine") if config.combine else None
    return ForecastPipeline(scaler, network, calibrate, combine, name="forecaster")


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
        most=_LONGEST,
        seed=config.seed,
    )


def fit_beside(
    model: ForecastPipeline, parts: Parts, config: ForecastingConfig, inputs: Sequence[str]
) -> None:
    """Fits what stands beside a trained network, on the validation part: weights and intervals.

    Args:
        model: The forecaster.
        parts: The series.
        config: The configuration.
        inputs: What the network's batches hold.
    """
    calibrates = config.conformal and len(config.quantiles) > 1
    if not (model.combine or calibrates):
        return
    windows = scaled_windows(parts, "validation", model.scaler, config, inputs)
    if model.combine:
        with working("fitting the ridge"):
            count = sum(last - first for first, last in parts.spans("train"))
            stride = -(-count * parts.task.targets // MOST_PAIRS)
            train = scaled_windows(parts, "train", model.scaler, config, ("history",), stride)
            ridge = ridge_map(train, windows)
        if ridge is not None:
            model.combine.ridge.assign(ridge)
    stride = -(-windows.count // _CALIBRATION)
    if stride > 1:
        windows = scaled_windows(parts, "validation", model.scaler, config, inputs, stride)

    @tf.function(autograph=False)
    def answer(inputs):
        return model.network.answer({k: v for k, v in inputs.items() if k != "teacher"})

    with working("calibrating"):
        rows = [
            (given["history"].numpy(), truth.numpy(), answer(given).numpy())
            for given, truth, _ in windows.one_pass()
        ]
        history, truth, answers = (
            np.concatenate(column)[: windows.count] for column in zip(*rows, strict=True)
        )
        if model.combine:
            spans = [last - first for first, last in parts.spans("validation")]
            apart = sum(1 + (span - 1) / config.horizon for span in spans if span)
            model.combine.adapt(history, answers[..., 0], truth, config.loss, apart)
            answers = model.combine(history, answers).numpy()
        if calibrates:
            model.calibrate.adapt(truth, answers)
    if model.combine:
        say([model.combine.said()])


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
        return {name: tf.cast(found[name], tf.float32) for name in ("forecast", "quantiles")}

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
        "task": task.to_dict(),
    }
    if task.columns.holidays:
        described["holidays_until"] = holidays_end().isoformat()
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
