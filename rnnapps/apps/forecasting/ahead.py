"""What forecasts past a series' end are made from: its last steps, and what is known ahead."""

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.data import Task, length_of
from rnnapps.data import Columns, Series, SeriesSet, features_of, times
from rnnapps.errors import DataError


def prediction_inputs(
    found: SeriesSet, task: Task, where: str
) -> tuple[np.ndarray, np.ndarray, list[pd.Index]]:
    """The inputs of forecasts past the end of each series.

    A series ends with its last target; rows after that hold its future covariates.

    Args:
        found: The series.
        task: What is forecast from what.
        where: What errors call the table.

    Returns:
        Histories `(series, lookback, columns)`, future covariates `(series, horizon, future)`, and
        for each series the times of the horizon.

    Raises:
        DataError: If a series is shorter than the look-back, or lacks a future covariate.
    """
    histories, futures, ahead = [], [], []
    for one in found.series:
        here = f"{where}, series {one.name}" if one.name else where
        end = length_of(one, task.targets)
        if end < (least := task.least or task.lookback):
            raise DataError(
                f"Expected at least {least} steps, the look-back, up to the last value "
                f"of a target in {here}. Received: {end}, {least - end} too few."
            )
        stamps = times.following(one.times[:end], found.columns.freq, task.horizon)
        histories.append(history_before(one.values, end, task.lookback))
        futures.append(_covariates(one, end, stamps, task, here))
        ahead.append(stamps)
    return np.stack(histories), np.stack(futures), ahead


def _covariates(one: Series, end: int, stamps: pd.Index, task: Task, where: str):
    """The future covariates of the horizon `(horizon, future)`."""
    columns = task.columns
    first = len(columns.names) - task.future
    rows, given = unobserved(stamps, columns)[:, first:], one.values[end:, first:][: len(stamps)]
    rows[: len(given)] = given
    missing = np.isnan(rows)
    if missing.any():
        step, column = np.argwhere(missing)[0]
        raise DataError(
            f"Expected future covariates for the {task.horizon} steps after "
            f"{one.times[end - 1]} in {where}. Received: no {columns.future_names[column]!r} for "
            f"{stamps[step]}; add rows with the covariates and without the targets."
        )
    return rows


def history_before(values: np.ndarray, origin: int, lookback: int) -> np.ndarray:
    """The look-back `(lookback, columns)` of a step; NaN before the series' first."""
    known = values[max(0, origin - lookback) : origin]
    lacking = np.full((lookback - len(known), known.shape[1]), np.nan)
    return np.concatenate([lacking, known])


def unobserved(stamps: pd.Index, columns: Columns) -> np.ndarray:
    """Steps of which nothing is known but what is made from the time, `(steps, columns)`."""
    rows = np.full((len(stamps), len(columns.names)), np.nan)
    if columns.from_time and len(stamps):
        features = features_of(stamps, columns)
        rows[:, -features.shape[1] :] = features
    return rows
