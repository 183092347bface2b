"""The signatures besides `serving_default`: `from_times`, `describe` and `detect`."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting import pipeline
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.detect import Detector, detect_signature
from rnnapps.data.clock import calendar_of, holidays_of
from rnnapps.data.holidays import holiday_days, holidays_end
from rnnapps.serving import ExportSpec, Signature, asset_signature

_SINCE = 1900  # first year of the table of holidays


def serving_spec(
    model: keras.Model, config: ForecastingConfig, detector: Detector | None
) -> ExportSpec:
    """The signatures of an export.

    Args:
        model: The forecaster.
        config: Its configuration.
        detector: Its alarms, if it has any.

    Returns:
        Those of `pipeline.serving_spec`, and `describe`; `from_times` if there are calendar
        features; and `detect` if there are alarms.
    """
    spec = pipeline.serving_spec(model, config)
    task, served = model.get_layer("scaler").task, spec.signatures["serving_default"]
    found = {**spec.signatures, "describe": asset_signature(spec.assets)}
    if task.columns.from_time:
        found["from_times"] = times_signature(task, served)
    if detector:
        found["detect"] = detect_signature(model, detector, served)
    return dataclasses.replace(spec, signatures=found)


def times_signature(task: Task, served: Signature) -> Signature:
    """The signature `from_times`, which computes calendar features in the graph.

    Its inputs are those of `serving_default` without calendar features, and
    `times (batch, lookback + horizon)`, int64: the local time in the data's time zone, in seconds
    since 1970-01-01 00:00. Its outputs are those of `serving_default`.

    Args:
        task: The forecasting task.
        served: The signature `serving_default`.

    Returns:
        The signature.
    """
    columns = task.columns
    years = (_SINCE, holidays_end().year)
    tables = [holiday_days(place, range(years[0], years[1] + 1)) for place in columns.holidays]
    made = 2 * len(columns.calendar) + len(columns.holidays)
    given = task.future - made  # future covariates in the table

    def answer(*tensors):
        *tensors, seconds = tensors
        named = dict(zip(names, tensors, strict=True))
        parts = [calendar_of(seconds, columns.calendar)] if columns.calendar else []
        parts += [holidays_of(seconds, tables, years)] if tables else []
        features = tf.concat(parts, axis=-1)  # (batch, lookback + horizon, made)
        before, ahead = features[:, : task.lookback], features[:, task.lookback :]
        if task.padded:  # padding has no features
            known = tf.reduce_any(tf.math.is_finite(named["history"]), axis=-1, keepdims=True)
            begun = tf.cumsum(tf.cast(known, tf.int32), axis=1) > 0
            before = tf.where(begun, before, np.nan)
        named["history"] = tf.concat([named["history"], before], axis=-1)
        if given:
            ahead = tf.concat([named["future_covariates"], ahead], axis=-1)
        named["future_covariates"] = ahead
        return served.function(*(named[spec.name] for spec in served.inputs))

    specs, example = [], []
    for spec, tensor in zip(served.inputs, served.example, strict=True):
        if spec.name in ("history", "future_covariates"):
            tensor = tensor[..., : tensor.shape[-1] - made]
            if not tensor.shape[-1]:
                continue
            spec = tf.TensorSpec((None, *tensor.shape[1:]), spec.dtype, spec.name)
        specs.append(spec)
        example.append(tensor)
    names = [spec.name for spec in specs]
    steps = task.lookback + task.horizon
    specs.append(tf.TensorSpec((None, steps), tf.int64, "times"))
    example.append(tf.tile(tf.range(steps, dtype=tf.int64)[None] * 3600, (2, 1)))
    return Signature(answer, specs, example)
