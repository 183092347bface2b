"""What an exported forecaster is asked, and what is written beside it."""

import dataclasses
import json

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.task import Task
from rnnapps.serving import Signature


def signature_of(model: keras.Model) -> Signature:
    """The signature of a forecaster, with an example that has missing values in it.

    Args:
        model: What `model.build_forecaster` built.

    Returns:
        The signature, whose inputs have the names of the model's.
    """
    scaler = model.get_layer("scaler")
    task, names = scaler.task, list(model.input)
    level = np.ones(len(task.columns.names)) if scaler.log else scaler.center.numpy()[0]
    history = np.tile(level, (2, task.lookback, 1)).astype(np.float32)
    history[1, ::3] = np.nan
    examples = {
        "history": tf.constant(history),
        "future_covariates": tf.zeros((2, task.horizon, task.future)),
        "series": tf.constant([task.series[0], "never seen"]),
    }

    def answer(*tensors):
        found = model(dict(zip(names, tensors, strict=True)))
        return {name: tf.cast(values, tf.float32) for name, values in found.items()}

    dtypes = {"series": tf.string}  # numbers come and go as float32
    specs = [tf.TensorSpec(model.input[n].shape, dtypes.get(n, tf.float32), n) for n in names]
    return Signature(answer, specs, [examples[name] for name in names])


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
