"""The signatures besides `serving_default`: from time stamps, about itself, with alarms."""

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

_SINCE = 1900  # first year of the holidays' table


def serving_spec(
    model: keras.Model, config: ForecastingConfig, detector: Detector | None
) -> ExportSpec:
    """What an export answers.

    Args:
        model: The forecaster.
        config: Its configuration.
        detector: Its alarms, if it has any.

    Returns:
        That of `pipeline.serving_spec`, with the signatures `describe`; `from_times`, where
        covariates are made from the time; and `detect`, where there are alarms.
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
    """What a server answers to a table as it is: the calendar is computed inside the graph.

    Its inputs are those of `serving_default` without the columns that are made from the time, and
    `times (batch, lookback + horizon)`, int64: the seconds since 1970-01-01 00:00 that a clock
    shows on the wall of the data's zone. Its outputs are those of `serving_default`.

    Args:
        task: What is forecast from what.
        served: The signature `serving_default`.

    Returns:
        The signature.
    """
    columns = task.columns
    years = (_SINCE, holidays_end().year)
    tables = [holiday_days(place, range(years[0], years[1] + 1)) for place in columns.holidays]
    made = 2 * len(columns.calendar) + len(columns.holidays)
    given = task.future - made  # future covariates that the table has

    def answer(*tensors):
        *tensors, seconds = tensors
        named = dict(zip(names, tensors, strict=True))
        parts = [calendar_of(seconds, columns.calendar)] if columns.calendar else []
        parts += [holidays_of(seconds, tables, years)] if tables else []
        features = tf.concat(parts, axis=-1)  # (batch, lookback + horizon, made)
        before, ahead = features[:, : task.lookback], features[:, task.lookback :]
        if task.padded:  # a step before the first has no features either
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
