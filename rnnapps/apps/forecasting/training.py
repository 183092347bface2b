"""From series to a trained forecaster, with what is combined with its network."""

import functools
import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.baseline import MOST_PAIRS, ridge_map
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Parts
from rnnapps.apps.forecasting.encoder_decoder import ScheduledSampling
from rnnapps.apps.forecasting.ensemble import Ensemble
from rnnapps.apps.forecasting.model import build_network, inputs_of, named_rows
from rnnapps.apps.forecasting.networks import ForecastNetwork
from rnnapps.apps.forecasting.pipeline import ForecastPipeline, assemble
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.apps.trained import Callbacks, Start, Trained
from rnnapps.data import Windows
from rnnapps.probabilistic import ForecastLoss, PointError
from rnnapps.progress import say, working
from rnnapps.training import compile_model, fit, members, precision, strategy_of

_STEPS = 150  # of an epoch, about; where windows are few, it takes each several times
_LONGEST = 600  # steps of an epoch, at most; where windows are many, it takes some of them
_CALIBRATION = 2000  # windows, at most, that weigh and calibrate


def train_forecaster(
    parts: Parts,
    config: ForecastingConfig,
    start: Start | None = None,
    checkpoint_dir: pathlib.Path | None = None,
    callbacks: Callbacks = (),
) -> Trained:
    """Trains networks on parts, weighs them beside what needs no training, and calibrates.

    Args:
        parts: The series.
        config: The configuration.
        start: What gives the network of a `number` its first weights, where they are not random.
        checkpoint_dir: Where the training's state is kept, if anywhere.
        callbacks: Callbacks of the training.

    Returns:
        The forecaster.
    """
    scaler = Scaler(parts.task, parts.task.log or config.log, counts_in(config), name="scaler")
    scaler.adapt(parts.training)
    networks, histories = [], []
    first = checkpoint_dir and checkpoint_dir / "network"
    for number, own, folder in members(config, config.ensemble, first):
        begin = functools.partial(start, number=number) if start else None
        network, history = train_network(parts, own, scaler, begin, folder, callbacks)
        networks.append(network)
        histories.append(history)
    network = networks[0] if config.ensemble == 1 else Ensemble(networks, name="network")
    pipeline = assemble(scaler, network, config)
    fit_beside(pipeline, parts, config, tuple(inputs_of(config, parts.task)))
    return Trained(pipeline, histories[0])


def counts_in(config: ForecastingConfig) -> bool:
    """Whether the targets are learned as counts."""
    return config.likelihood == "negative_binomial"


def train_network(
    parts: Parts,
    config: ForecastingConfig,
    scaler: Scaler,
    start: Start | None = None,
    checkpoint_dir: pathlib.Path | None = None,
    callbacks: Callbacks = (),
) -> tuple[ForecastNetwork, list[dict[str, float]]]:
    """Trains one network.

    Args:
        parts: The series.
        config: The configuration.
        scaler: The adapted scaler.
        start: What gives the network its first weights, where they are not random.
        checkpoint_dir: Where the training's state is kept, if anywhere.
        callbacks: Callbacks of the training.

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
            model.combine.adapt(history, answers[..., 0], truth, parts.task.loss, apart)
            answers = model.combine(history, answers).numpy()
        if calibrates:
            model.calibrate.adapt(truth, answers)
    if model.combine:
        say([model.combine.said()])
