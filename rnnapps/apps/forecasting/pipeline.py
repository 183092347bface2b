"""From histories to forecasts in their own units, and what an export says about it."""

import dataclasses
import json

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting import compatibility  # noqa: F401 - registers former layers
from rnnapps.apps.forecasting.combination import Combination
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.ensemble import Ensemble
from rnnapps.apps.forecasting.networks import ForecastNetwork
from rnnapps.apps.forecasting.scaling import Scaler
from rnnapps.data.holidays import holidays_end
from rnnapps.probabilistic import ConformalCalibration
from rnnapps.serving import ExportSpec, Signature


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


def assemble(
    scaler: Scaler, network: ForecastNetwork | Ensemble, config: ForecastingConfig
) -> ForecastPipeline:
    """The forecaster of a scaler and a network, with what `fit_beside` is to fit."""
    calibrate = ConformalCalibration(config.quantiles, name="calibrate")
    combine = Combination(scaler.task, name="combine") if config.combine else None
    return ForecastPipeline(scaler, network, calibrate, combine, name="forecaster")


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
