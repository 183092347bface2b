"""The forecaster's network: the page to edit."""

import keras

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.network import Network, Plan
from rnnapps.apps.forecasting.scaling import Calibrate, Scaler
from rnnapps.apps.forecasting.segment import SegmentNetwork
from rnnapps.apps.forecasting.stepwise import DecoderNetwork, DirectNetwork
from rnnapps.apps.forecasting.task import Task

_NETWORKS = {
    "segment": SegmentNetwork,
    "direct": DirectNetwork,
    "encoder_decoder": DecoderNetwork,
    "deepar": DecoderNetwork,
}


def build_network(config: ForecastingConfig, task: Task) -> keras.Model:
    """Builds the recurrent network.

    Args:
        config: The configuration.
        task: What is forecast from what.

    Returns:
        A model from scaled values, a dictionary of `history (batch, lookback, columns)` with NaN
        where missing and the other inputs that `inputs_of` names, to the likelihood's parameters
        `(batch, horizon, targets, parameters)`. Its one layer `network` holds the weights.
    """
    inputs = {
        name: keras.Input(shape, name=name) for name, shape in inputs_of(config, task).items()
    }
    network = _NETWORKS[config.model](plan_of(config, task), name="network")
    return keras.Model(inputs, network(inputs), name="training")


def inputs_of(config: ForecastingConfig, task: Task) -> dict[str, tuple[int, int]]:
    """The shapes of a network's inputs, by name."""
    shapes = {"history": (task.lookback, len(task.columns.names))}
    if task.future:
        shapes["future"] = (task.horizon, task.future)
    if config.model in ("encoder_decoder", "deepar"):
        shapes["teacher"] = (task.horizon, task.targets)
    if config.output == "negative_binomial":
        shapes["scale"] = (task.targets,)
    return shapes


def plan_of(config: ForecastingConfig, task: Task) -> Plan:
    """The shape of a network that the configuration asks for."""
    counts = config.output == "negative_binomial"  # which keep their zero
    return Plan(
        lookback=task.lookback,
        horizon=task.horizon,
        targets=task.targets,
        columns=len(task.columns.names),
        future=task.future,
        missing=task.missing,
        gaps=task.gaps,
        independent=config.channels == "independent",
        normalization="none" if counts else config.normalization,
        cell=config.cell,
        units=config.units,
        layers=config.layers,
        dropout=config.dropout,
        output=config.output,
        levels=config.quantiles,
        loss=config.loss,
        samples=config.samples,
        segment=task.segment,
        linear=config.linear and config.model in ("segment", "direct") and not counts,
        paths=config.model == "deepar",
    )


def build_forecaster(task: Task, scaler: Scaler, network: Network, levels) -> keras.Model:
    """Puts the scaler before the network, and calibration and the units behind.

    Args:
        task: What is forecast from what.
        scaler: The adapted scaler.
        network: The trained network.
        levels: The quantiles' levels.

    Returns:
        A model in the data's own units and float64, from `history (batch, lookback, columns)`, NaN
        where missing, `future_covariates (batch, horizon, future)` where there are such, and
        `series (batch,)`, names, where there are several, to `forecast (batch, horizon, targets)`
        and `quantiles (batch, horizon, targets, levels)`. Its layer `calibrate` is still to be
        fitted.
    """
    columns = len(task.columns.names)
    inputs = {"history": keras.Input((task.lookback, columns), dtype="float64", name="history")}
    if task.future:
        shape = (task.horizon, task.future)
        inputs["future_covariates"] = keras.Input(shape, dtype="float64", name="future_covariates")
    rows = None
    if task.several:
        inputs["series"] = keras.Input((), dtype="string", name="series")
        lookup = keras.layers.StringLookup(vocabulary=list(task.series), name="lookup")
        rows = lookup(inputs["series"])
    scaled = {"history": scaler(inputs["history"], rows)}
    if task.future:
        scaled["future"] = scaler(inputs["future_covariates"], rows, part="future")
    if network.plan.output == "negative_binomial":
        scaled["scale"] = scaler(inputs["history"], rows, part="scale")
    answer = network(scaled, answer=True)  # (batch, horizon, targets, 1 + levels)
    answer = Calibrate(levels, relative=True, name="calibrate")(answer)
    answer = scaler(answer, rows, part="answer")
    outputs = {"forecast": answer[..., 0], "quantiles": answer[..., 1:]}
    return keras.Model(inputs, outputs, name="forecaster")
