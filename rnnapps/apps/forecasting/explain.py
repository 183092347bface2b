"""Attributions of a forecast to columns and lags, by integrated gradients."""

import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps import figures
from rnnapps.apps.forecasting.data import Task
from rnnapps.errors import ConfigError
from rnnapps.progress import tracked

START = "(start)"
_STEPS = 32  # on the path from the baseline to the inputs


def explain(
    model: keras.Model, task: Task, history: np.ndarray, future: np.ndarray, names: Sequence[str]
) -> pd.DataFrame:
    """Attributes forecasts to columns and lags.

    Integrated gradients of the forecast's mean over the horizon, on the straight path from a
    baseline input to the actual one. The baseline has each column's training mean at every step,
    and for targets the mean of the look-back. Contributions sum to the forecast minus that of the
    baseline.

    Args:
        model: The forecaster.
        task: The forecasting task.
        history: `(series, lookback, columns)`.
        future: `(series, horizon, future)`.
        names: The series names.

    Returns:
        A row for each series, target, column and lag: `series` if there are several, `target`,
        `column`, `lag`, `contribution`. Lag 1 is the last step of the look-back, 0 the first of the
        horizon, -1 its second. The first row of each target, with the column `(start)`, holds the
        forecast of the baseline; the rows of a target sum to the forecast.

    Raises:
        ConfigError: If the network samples its forecasts, which then have no gradients.

    Reference:
        - [Sundararajan et al., 2017](https://arxiv.org/abs/1703.01365)
    """
    if any(one.config.paths for one in _networks(model)):
        raise ConfigError(
            "Expected --explain with a network whose forecasts have gradients. Received: --model="
            "deepar, which draws paths."
        )
    center = model.get_layer("scaler").center.numpy()[0]
    frames = []
    for i in tracked(range(len(names)), "series", len(names)):
        own = np.tile(center, (task.lookback, 1))
        seen = history[i, :, : task.targets]
        known = np.isfinite(seen)
        mean = np.where(known, seen, 0).sum(0) / np.maximum(1, known.sum(0))
        own[:, : task.targets] = np.where(known.any(0), mean, center[: task.targets])
        start = {"history": np.where(np.isfinite(history[i]), own, np.nan)}
        given = {"history": history[i]}
        if task.future:
            ahead = np.tile(center[len(center) - task.future :], (task.horizon, 1))
            start["future_covariates"] = np.where(np.isfinite(future[i]), ahead, np.nan)
            given["future_covariates"] = future[i]
        at_start, contributions = _integrate(model, task, start, given, names[i])
        for j, target in enumerate(task.columns.targets):
            frames.append(pd.DataFrame({"series": names[i], "target": target,
                "column": START, "lag": 0, "contribution": [at_start[j]]}))  # fmt: skip
            for name, steps, first in (
                ("history", task.lookback, task.lookback),
                ("future_covariates", task.horizon, 0),
            ):
                if name not in given:
                    continue
                columns = task.columns.names if first else task.columns.future_names
                values = contributions[name][j]  # (time, columns)
                frames.append(pd.DataFrame({
                    "series": names[i], "target": target, "column": np.repeat(columns, steps),
                    "lag": np.tile(first - np.arange(steps), len(columns)),
                    "contribution": values.T.ravel(),
                }))  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    return frame if task.several else frame.drop(columns="series")


def _networks(model: keras.Model) -> list:
    network = model.get_layer("network")
    return getattr(network, "networks", [network])


def _integrate(
    model: keras.Model, task: Task, start: dict, given: dict, name: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The baseline's forecast `(targets,)`, and contributions `(targets, time, columns)`."""
    shares = (np.arange(_STEPS) + 0.5) / _STEPS
    # The last row is close to the baseline: exactly there, a series that is scaled by its look-back
    # has no spread.
    way = np.append(shares, 1e-6)[:, None, None]
    inputs = {
        key: tf.constant(start[key] + way * (given[key] - start[key]), tf.float64) for key in given
    }
    others = {"series": tf.constant([name] * len(way))} if task.several else {}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        forecast = tf.reduce_mean(model({**inputs, **others})["forecast"], axis=1)
        each = tf.unstack(forecast, axis=-1)  # (path,) for each target
    found: dict[str, list] = {key: [] for key in given}
    for one in each:
        slopes = tape.gradient(one, inputs, unconnected_gradients="zero")
        for key, slope in slopes.items():
            mean = np.nan_to_num(slope.numpy()[:-1]).mean(0)
            found[key].append(mean * np.nan_to_num(given[key] - start[key]))
    return forecast.numpy()[-1], {key: np.stack(rows) for key, rows in found.items()}


def draw(frame: pd.DataFrame, path: pathlib.Path) -> None:
    """Plots the contributions of columns and lags to the first series' first target.

    Args:
        frame: The output of `explain`.
        path: The PNG to write.
    """
    keys = [name for name in ("series", "target") if name in frame]
    first = frame[(frame[keys] == frame[keys].iloc[0]).all(axis=1) & (frame["column"] != START)]
    columns = {
        str(name): (part["lag"].to_numpy(), part["contribution"].to_numpy())
        for name, part in first.groupby("column", sort=False)
    }
    title = " ".join(str(frame[key].iloc[0]) for key in keys)
    figures.contributions(columns, title, path)
