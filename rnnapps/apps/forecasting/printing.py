"""What `predict` prints."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.data import Task
from rnnapps.data import times


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


def forecasts_as_text(frame: pd.DataFrame, as_json: bool) -> str:
    """Forecasts as the command line prints them.

    Args:
        frame: The forecasts.
        as_json: Whether as JSON, an object a line, instead of a CSV.

    Returns:
        The text.
    """
    if as_json:
        return frame.to_json(orient="records", lines=True, date_format="iso")
    return frame.to_csv(index=False)


def collapsed_note(share: float) -> str:
    """What is said of intervals without width.

    Args:
        share: The share of steps at which they are.

    Returns:
        The sentence.
    """
    return (
        f"The intervals have collapsed at {share:.1%} of the steps: training saw too little like "
        "these inputs to say how sure the forecast is."
    )
