"""Anomaly detection: compares observed values with one-step forecasts."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps import figures
from rnnapps.apps.forecasting.ahead import history_before, unobserved
from rnnapps.apps.forecasting.answers import Graph, ask, forecasts
from rnnapps.apps.forecasting.data import Parts, Task, length_of
from rnnapps.assertions import require
from rnnapps.data import Series, SeriesSet, times
from rnnapps.errors import ConfigError, DataError, RnnappsError
from rnnapps.probabilistic import (
    APART,
    DEPTH,
    LAGS,
    Alarms,
    Cointegration,
    fit_alarms,
    fit_cointegration,
    raised,
)
from rnnapps.progress import say, working
from rnnapps.serving import Signature

RATE = 1.0  # false alarms in 1,000 steps
_SHARE = 0.25  # fraction of false alarms reserved for cointegration
_MOST = 5000  # approximate number of windows for calibrating alarms
_TRIED = 64  # approximate number of windows for estimating the response to a shift


class Steps(NamedTuple):
    """One-step forecasts of a series.

    Args:
        first: The first forecast step of the series.
        observed: `(time, targets)`, NaN where missing.
        forecast: `(time, targets)`.
        width: Half of the widest interval, `(time, targets)`.
    """

    first: int
    observed: np.ndarray
    forecast: np.ndarray
    width: np.ndarray


@dataclasses.dataclass(frozen=True)
class Detector:
    """Alarms of a forecaster.

    Args:
        alarms: The alarms.
        task: The forecasting task.
        usual: The typical width of a forecast, `(targets,)`; with several series, whose errors are
            divided by the forecast's width, that of the series with the narrowest.
        cointegration: The cointegration of targets, if any; unused with several series.
    """

    alarms: Alarms
    task: Task
    usual: np.ndarray
    cointegration: Cointegration | None = None

    def surprise(self, observed, forecast, width):
        """`-log10` of the alarm rate per step, `(batch, time, targets)` like its arguments."""
        width = tf.maximum(width, 0.05 * self.usual)
        errors = observed - forecast
        if self.task.several:
            return self.alarms(errors / width, tf.ones_like(width))
        alone = self.alarms(errors, width / self.usual)
        if self.cointegration is None:
            return alone
        known = tf.math.is_finite(errors)
        beside = self.cointegration(tf.where(known, observed, forecast))
        both = tf.maximum(alone + np.log10(1 - _SHARE), beside + np.log10(_SHARE))
        return tf.where(known & self.cointegration.members, both, alone)


def one_step(graph: Graph, parts: Parts, spans: Sequence[tuple[int, int]]) -> list[Steps]:
    """Computes one-step forecasts, each from all earlier steps.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        parts: The series.
        spans: For each series the first step to forecast, and the one after the last.

    Returns:
        The forecasts of each series.
    """
    made: list[list] = [[] for _ in spans]
    for batch in forecasts(graph, parts, spans):
        low, high = batch.answer.quantiles[:, 0, :, 0], batch.answer.quantiles[:, 0, :, -1]
        rows = zip(
            batch.series.tolist(), batch.truth[:, 0], batch.answer.point[:, 0], (high - low) / 2,
            strict=True,
        )  # fmt: skip
        for number, *row in rows:
            made[number].append(row)
    none = np.empty((0, parts.task.targets))
    return [
        Steps(first, *(np.stack(column) for column in zip(*rows, strict=True)))
        if rows
        else Steps(first, none, none, none)
        for (first, _), rows in zip(spans, made, strict=True)
    ]


def fit_detector(graph: Graph, parts: Parts) -> Detector:
    """Calibrates alarms on the one-step errors of the validation set.

    Cointegration is also fitted to the values of the training set.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        parts: The series, split by time.

    Returns:
        The detector.
    """
    task, spans = parts.task, parts.spans("validation")
    each = max(1, _MOST // len(spans))
    spans = [(max(first, last - each), last) for first, last in spans]
    if not sum(last - first for first, last in spans):
        raise DataError("Expected a validation part for calibrating alarms.")
    with working("forecasting the validation part"):
        steps = one_step(graph, parts, spans)
    usual = usual_width(steps)
    errors = [one.observed - one.forecast for one in steps]
    spread = [np.maximum(one.width, 0.05 * usual) for one in steps]
    if task.several:
        errors = [one / width for one, width in zip(errors, spread, strict=True)]
        ratio = [np.ones_like(one) for one in spread]
    else:
        ratio = [one / usual for one in spread]
    scale = np.sqrt(np.nanmean(np.concatenate(errors) ** 2, axis=0))
    with working("trying shifts"):
        response = _response(graph, parts, spans, np.where(scale > 0, scale, 1), usual)
    alarms, cointegration = fit_alarms(errors, ratio, response), None
    if not task.several:
        known = parts.values[0][: parts.ends[0][1], : task.targets]
        cointegration = fit_cointegration(known, alarms.scale)
    return Detector(alarms, task, usual, cointegration)


def usual_width(steps: Sequence[Steps]) -> np.ndarray:
    """The typical width of a forecast `(targets,)`, in the series where it is narrowest."""
    widths = [np.maximum(one.width, 1e-9) for one in steps if len(one.width)]
    each = np.stack([np.exp(np.mean(np.log(one), axis=0)) for one in widths])  # (series, targets)
    usual = np.where(each > 1e-8, each, np.inf).min(0)
    return np.where(np.isfinite(usual), usual, 1)  # a single quantile has no width


def _response(
    graph: Graph,
    parts: Parts,
    spans: Sequence[tuple[int, int]],
    scale: np.ndarray,
    usual: np.ndarray,
) -> np.ndarray:
    """The one-step errors after a permanent shift, while forecasts adapt; see `Alarms`."""
    task, found = parts.task, []
    origins = [(i, at) for i, span in enumerate(spans) for at in range(*span)]
    count = min(len(origins), max(1, _TRIED // task.targets))
    for number, origin in (origins[i * len(origins) // count] for i in range(count)):
        values, name = parts.values[number], parts.data.series[number].name
        history = history_before(values, origin, task.lookback)
        future = values[origin : origin + task.horizon, values.shape[1] - task.future :]
        plain = ask(graph, task, history[None], future[None], [name])
        width = np.maximum(
            (plain.quantiles[0, 0, :, -1] - plain.quantiles[0, 0, :, 0]) / 2, 0.05 * usual
        )
        unit = scale * (width if task.several else 1)
        shifted = np.tile(history, (task.targets, LAGS - 1, 1, 1))
        for target in range(task.targets):
            for steps in range(1, LAGS):
                shifted[target, steps - 1, max(0, task.lookback - steps) :, target] += unit[target]
        rows = shifted.reshape(-1, *history.shape)
        point = ask(graph, task, rows, np.tile(future, (len(rows), 1, 1)), [name] * len(rows)).point
        moved = (point[:, 0] - plain.point[0, 0]) / unit
        moved = moved.reshape(task.targets, LAGS - 1, task.targets)
        moved = np.concatenate([np.zeros((task.targets, 1, task.targets)), moved], axis=1)
        found.append(np.eye(task.targets)[:, None] - moved)
    return np.moveaxis(np.mean(found, axis=0), 0, 1)  # (LAGS, shifted target, targets)


def with_room(data: SeriesSet, task: Task) -> SeriesSet:
    """Pads series by a horizon of missing values, so that their last step is forecast, too."""
    columns, longer = task.columns, []
    for one in data.series:
        ahead = times.following(one.times, columns.freq, task.horizon)
        values = np.concatenate([one.values, unobserved(ahead, columns)])
        longer.append(Series(one.name, one.times.append(ahead), values))
    return dataclasses.replace(data, series=longer)


def steps_of(data: SeriesSet, task: Task, starts: Sequence[int] = ()) -> list[tuple[int, int]]:
    """The steps that are preceded by a look-back.

    Args:
        data: The series.
        task: The forecasting task.
        starts: For each series the first step to check; by default its first.

    Returns:
        For each series its first such step, and the one after the last with a target; later rows
        hold future covariates.

    Raises:
        DataError: If a series has no such step.
    """
    least, spans = task.least or task.lookback, []
    for one, start in zip(data.series, starts or [0] * len(data.series), strict=True):
        if (end := length_of(one, task.targets)) <= least:
            whose = f" in series {one.name}" if one.name else ""
            raise DataError(
                f"Expected over {least} steps, the look-back before the first checked step"
                f"{whose}. Received: {end}."
            )
        spans.append((max(start, least), end))
    return spans


def find_alarms(
    graph: Graph,
    parts: Parts,
    given: SeriesSet | None,
    spans: Sequence[tuple[int, int]],
    per_1000: float,
) -> pd.DataFrame:
    """Calibrates alarms on the validation set, and detects anomalies.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        parts: The series used in training, split by time.
        given: Series to check; `None` for the test set.
        spans: The output of `steps_of` for the given series.
        per_1000: Accepted false alarms per 1,000 steps of each series and target.

    Returns:
        The output of `detect`.
    """
    if given is None:
        given, starts = parts.data, [first for first, _ in parts.spans("test")]
        spans = steps_of(given, parts.task, starts)
    detector = fit_detector(graph, parts)
    say(notes_of(detector, per_1000))
    return detect(graph, detector, given, spans, per_1000)


def detector_for_export(graph: Graph, read: Callable[[], Parts]) -> Detector | None:
    """The detector; `None`, with a message, if there is no validation set to calibrate it.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        read: Reads the series used in training, split by time.
    """
    try:
        return fit_detector(graph, read())
    except RnnappsError as error:
        say([f"The export has no signature detect, as its alarms cannot be calibrated: {error}"])
        return None


def detect(
    graph: Graph,
    detector: Detector,
    data: SeriesSet,
    spans: Sequence[tuple[int, int]],
    per_1000: float,
) -> pd.DataFrame:
    """Detects anomalies.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        detector: The detector.
        data: The series.
        spans: The output of `steps_of`.
        per_1000: Accepted false alarms per 1,000 steps of each series and target.

    Returns:
        A row for each step, series and target: `time`, `series` if there are several, `target`,
        `observed`, `forecast`, `score` (`-log10` of the alarm rate per step) and `alarm`, true at
        the first of several steps over the threshold that are within 24 steps of each other.
    """
    task = dataclasses.replace(detector.task, series=tuple(one.name for one in data.series))
    least, columns = task.least or task.lookback, task.columns
    roomy = with_room(data, task)
    early = [(max(least, first - DEPTH), last) for first, last in spans]  # they affect the scores
    with working("forecasting"):
        found = one_step(graph, Parts(roomy, task, []), early)
    frames = []
    for one, steps, (first, last) in zip(data.series, found, spans, strict=True):
        arrays = (steps.observed, steps.forecast, steps.width)
        score = detector.surprise(*(tf.constant(x[None]) for x in arrays))
        alarm, score = raised(score, threshold(per_1000)).numpy()[0], score.numpy()[0]
        kept = slice(first - steps.first, None)
        local = times.in_zone(one.times[first:last], columns.zone, columns.freq)
        for j, target in enumerate(columns.targets):
            frames.append(pd.DataFrame({
                "time": local, "series": one.name, "target": target,
                "observed": steps.observed[kept, j], "forecast": steps.forecast[kept, j],
                "score": score[kept, j], "alarm": alarm[kept, j],
            }))  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    return frame if task.several else frame.drop(columns="series")


def threshold(per_1000: float) -> float:
    """The minimum score of an alarm.

    Args:
        per_1000: False alarms per 1,000 steps.

    Raises:
        ConfigError: If the rate is out of range.
    """
    most = 1000 // (APART + 1)
    if not 0 < per_1000 <= most:
        raise ConfigError(
            f"Expected --alarms-per-1000 to be over 0 and at most {most}, as alarms within {APART} "
            f"steps count as one. Received: {per_1000:g}."
        )
    return float(np.log10(1000 / per_1000))


def notes_of(detector: Detector, per_1000: float) -> list[str]:
    """Notes about the alarms for the user."""
    held = detector.alarms.steps
    if held * per_1000 >= 1000:
        return []
    guessed = "the frequency of larger errors is extrapolated with an exponential tail"
    return [f"The validation part has {held:,} steps; {guessed}."]


def draw(frame: pd.DataFrame, path: pathlib.Path) -> None:
    """Plots the observed values, forecasts and alarms of each series and target.

    Args:
        frame: The table of `Forecaster.detect`.
        path: The PNG to write.
    """
    keys = [name for name in ("series", "target") if name in frame]
    parts = {
        " ".join(filter(None, key)): tuple(
            part[name].to_numpy() for name in ("time", "observed", "forecast", "alarm")
        )
        for key, part in frame.groupby(keys, sort=False)
    }
    figures.alarms(parts, path)


def detect_signature(model, detector: Detector, served: Signature) -> Signature:
    """The signature `detect`, which checks one observed step.

    Its inputs are those of `serving_default`, and `observed (batch, targets)` at the first step of
    the horizon. The history may be up to 239 steps longer than the look-back, for the same scores
    as in `detect`; without the extra steps, shifts are not detected, and a lasting anomaly raises
    an alarm at every step.

    Args:
        model: The forecaster.
        detector: The detector.
        served: The signature `serving_default`.

    Returns:
        The signature, with `forecast`, `score` and `alarm`, each `(batch, targets)`; alarms are at
        one false alarm in 1,000 steps.
    """
    task = detector.task
    names = [spec.name for spec in served.inputs]

    def answer(*tensors):
        *tensors, observed = tensors
        given = dict(zip(names, tensors, strict=True))
        history, wanted = given["history"], task.lookback
        steps = tf.shape(history)[1]
        expected = f"Expected a history of at least {wanted} steps."
        with tf.control_dependencies([require(steps >= wanted, expected, steps)]):
            more = tf.minimum(steps - wanted, DEPTH)
        history = history[:, steps - wanted - more :]
        ago = tf.range(more + 1)[:, None]
        batch = tf.shape(history)[0]
        windows = tf.gather(history, ago + tf.range(wanted), axis=1)
        inputs = {"history": tf.reshape(windows, (-1, wanted, history.shape[-1]))}
        if task.future:
            ahead = history[:, wanted:, history.shape[-1] - task.future :]
            ahead = tf.concat([ahead, given["future_covariates"]], axis=1)
            ahead = tf.gather(ahead, ago + tf.range(task.horizon), axis=1)
            inputs["future_covariates"] = tf.reshape(ahead, (-1, task.horizon, task.future))
        if task.several:
            inputs["series"] = tf.repeat(given["series"], more + 1)
        found = model(inputs)
        first = (batch, more + 1, task.targets)
        forecast = tf.reshape(found["forecast"][:, 0], first)
        quantiles = found["quantiles"][:, 0]
        width = tf.reshape((quantiles[..., -1] - quantiles[..., 0]) / 2, first)
        seen = tf.concat([history[:, wanted:, : task.targets], observed[:, None]], axis=1)
        score = detector.surprise(tf.cast(seen, forecast.dtype), forecast, width)
        return {
            "forecast": tf.cast(forecast[:, -1], tf.float32),
            "score": score[:, -1],
            "alarm": raised(score, threshold(RATE))[:, -1],
        }

    example = served.request
    longer = tf.concat([example["history"][:, :1], example["history"]], axis=1)
    observed = tf.repeat(example["history"][:1, -1, : task.targets], 2, axis=0)  # no missing values
    specs = [
        tf.TensorSpec((None, None, spec.shape[-1]), spec.dtype, spec.name)
        if spec.name == "history"
        else spec
        for spec in served.inputs
    ]
    specs.append(tf.TensorSpec((None, task.targets), tf.float32, "observed"))
    return Signature(answer, specs, [longer, *served.example[1:], observed])
