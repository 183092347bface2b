"""Forecasts past the end of the data, with their time stamps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.task import Task
from rnnapps.data import SeriesSet, times
from rnnapps.errors import DataError


def ahead_of(
    found: SeriesSet, task: Task, where: str
) -> tuple[np.ndarray, np.ndarray, list[pd.Index]]:
    """What a model is to be shown to forecast past the end of each series.

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
        known = np.flatnonzero(np.isfinite(one.values[:, : task.targets]).any(1))
        end = known[-1] + 1 if len(known) else 0
        if end < task.lookback:
            raise DataError(
                f"Expected at least {task.lookback} steps, the look-back, up to the last value "
                f"of a target in {here}. Received: {end}, {task.lookback - end} too few."
            )
        stamps = times.following(one.times[:end], found.columns.freq, task.horizon)
        histories.append(one.values[end - task.lookback : end])
        futures.append(_covariates(one, end, stamps, task, here))
        ahead.append(stamps)
    return np.stack(histories), np.stack(futures), ahead


def _covariates(one, end: int, stamps: pd.Index, task: Task, where: str) -> np.ndarray:
    """The future covariates of the horizon `(horizon, future)`."""
    columns = task.columns
    local = times.in_zone(stamps, columns.zone, columns.freq)
    features = times.calendar(local, columns.calendar) if columns.calendar else None
    given = task.future - (0 if features is None else features.shape[1])
    rows = np.full((task.horizon, given), np.nan)
    first = len(columns.names) - task.future
    present = one.values[end : end + task.horizon, first : first + given]
    rows[: len(present)] = present
    missing = np.isnan(rows)
    if missing.any():
        step, column = np.argwhere(missing)[0]
        raise DataError(
            f"Expected future covariates for the {task.horizon} steps after "
            f"{one.times[end - 1]} in {where}. Received: no {columns.future_names[column]!r} for "
            f"{stamps[step]}; add rows with the covariates and without the targets."
        )
    return rows if features is None else np.concatenate([rows, features], axis=1)


def to_frame(
    task: Task,
    names: Sequence[str],
    ahead: Sequence[pd.Index],
    point: np.ndarray,
    quantiles: np.ndarray,
    levels: Sequence[float],
) -> pd.DataFrame:
    """Forecasts as a table with a row for each series, target and step.

    Args:
        task: What was forecast from what.
        names: The series' names.
        ahead: For each series the times of the horizon.
        point: `(series, horizon, targets)`.
        quantiles: `(series, horizon, targets, levels)`.
        levels: The quantiles' levels.

    Returns:
        The table.
    """
    frames = []
    for i, stamps in enumerate(ahead):
        for j, target in enumerate(task.columns.targets):
            local = times.in_zone(stamps, task.columns.zone, task.columns.freq)
            columns = {"time": local, "series": names[i], "target": target}
            columns["forecast"] = point[i, :, j]
            columns |= {f"q{level:g}": quantiles[i, :, j, k] for k, level in enumerate(levels)}
            frames.append(pd.DataFrame(columns))
    frame = pd.concat(frames, ignore_index=True)
    return frame if task.several else frame.drop(columns="series")
