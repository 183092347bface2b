"""A table of time series, forecast by a model server."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.ahead import prediction_inputs
from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.printing import to_frame
from rnnapps.config import SeriesOptions
from rnnapps.data import SeriesSet, read_series, times
from rnnapps.progress import say, tracked
from rnnapps.serving import Client

_BATCH = 64  # series of a request


def forecast_table(client: Client, inputs: pd.DataFrame | pathlib.Path | str) -> pd.DataFrame:
    """Has a server forecast what follows the end of a table.

    What is made from the time, the server makes: a calendar and holidays are none of the client's.

    Args:
        client: What asks an exported forecaster.
        inputs: A table with the columns that were trained on, or its file.

    Returns:
        What `Forecaster.predict` does.

    Raises:
        DataError: If the table is unreadable or too short, or lacks a column.
        ServerError: If the server cannot be reached, or its model is no forecaster's.
    """
    described = json.loads(client.describe("task.json"))
    found = read_for(described, inputs)
    say([*found.said, *found.notes])
    where = "the table" if isinstance(inputs, pd.DataFrame) else str(inputs)
    return forecast_series(client, described, found, where)


def read_for(
    described: Mapping[str, Any],
    inputs: pd.DataFrame | pathlib.Path | str,
    options: SeriesOptions | None = None,
) -> SeriesSet:
    """Reads a table as a forecaster on a server needs it.

    Args:
        described: The forecaster's `task.json`.
        inputs: A table with the columns that were trained on, or its file.
        options: How the table is written.

    Raises:
        DataError: If the table is unreadable, or lacks a column.
    """
    plain = Task.from_dict(described["task"]).plain
    return read_series(inputs, plain.columns, check_targets=False, options=options)


def forecast_series(
    client: Client, described: Mapping[str, Any], found: SeriesSet, where: str
) -> pd.DataFrame:
    """Has a server forecast what follows the end of each series.

    Args:
        client: What asks an exported forecaster.
        described: Its `task.json`.
        found: The series, as `read_for` reads them.
        where: What errors call the table.

    Returns:
        What `Forecaster.predict` does.
    """
    task = Task.from_dict(described["task"])
    history, future, ahead = prediction_inputs(found, task.plain, where)
    names = [one.name for one in found.series]
    given = {"history": history}
    if task.plain.future:
        given["future_covariates"] = future
    if task.several:
        given["series"] = np.array(names)
    signature = "serving_default"
    if task.columns.from_time:
        signature = "from_times"
        pairs = zip(found.series, ahead, strict=True)
        given["times"] = np.stack([seconds_of(one.times, stamps, task) for one, stamps in pairs])
    answers = []
    for start in tracked(range(0, len(names), _BATCH), "requests", -(-len(names) // _BATCH)):
        part = {name: values[start : start + _BATCH] for name, values in given.items()}
        answers += client.predict(signature=signature, **part)
    point, quantiles = (
        np.array([row[name] for row in answers], float) for name in ("forecast", "quantiles")
    )
    return to_frame(task, names, ahead, point, quantiles, described["quantiles"])


def seconds_of(known: pd.Index, ahead: pd.Index, task: Task) -> np.ndarray:
    """The times of a look-back and its horizon, as the signature `from_times` takes them.

    Args:
        known: The times of a series, without their zone, which go on to the horizon at least.
        ahead: The times of the horizon.
        task: What is forecast from what.

    Returns:
        int64 `(lookback + horizon,)`: the seconds since 1970-01-01 00:00 on the wall. A step before
        the series begins has the time of its first.
    """
    before = known[known < ahead[0]][-task.lookback :]
    columns = task.columns
    local = times.in_zone(before.append(ahead), columns.zone, columns.freq).tz_localize(None)
    seconds = local.as_unit("s").asi8
    lacking = task.lookback + task.horizon - len(seconds)
    return np.concatenate([np.full(lacking, seconds[0]), seconds])
