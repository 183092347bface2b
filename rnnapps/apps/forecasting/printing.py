"""What `predict` and `detect` print."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.apps.forecasting.config import DetectOptions, PredictOptions
from rnnapps.apps.forecasting.data import Task
from rnnapps.data import times
from rnnapps.errors import ConfigError
from rnnapps.files import write
from rnnapps.progress import say, working
from rnnapps.tables import digits


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


def answer(app: Any, options: PredictOptions, as_json: bool) -> None:
    """Prints forecasts, or what they owe to each column and lag, which is also drawn.

    Args:
        app: The forecaster.
        options: What `rnnapps predict` was asked.
        as_json: Whether to print a JSON object a line instead of a CSV.
    """
    if options.figure and not options.explain:
        raise ConfigError("Expected --explain with --figure. Received: --figure alone.")
    with working("forecasting"):
        frame = (app.explain if options.explain else app.predict)(options.file)
    if options.figure:
        from rnnapps.apps.forecasting import explain  # imports TensorFlow

        explain.draw(frame, options.figure)
    print_forecasts(frame, options.output, as_json)


def print_alarms(app: Any, options: DetectOptions, as_json: bool) -> None:
    """Prints the alarms as `answer` does forecasts, and draws them if asked to.

    Args:
        app: The forecaster.
        options: What `rnnapps detect` was asked.
        as_json: Whether to print a JSON object a line instead of a CSV.
    """
    frame = app.detect(options.file, options.alarms_per_1000)
    print_forecasts(frame, options.output, as_json)
    if options.figure:
        from rnnapps.apps.forecasting import detect  # imports TensorFlow

        detect.draw(frame, options.figure)


def print_forecasts(frame: pd.DataFrame, output: pathlib.Path | None, as_json: bool) -> None:
    """Prints forecasts as a CSV, whose numbers have seven digits, or as JSON, an object a line.

    Args:
        frame: The forecasts.
        output: The file to write instead, with all digits.
        as_json: Whether as JSON.
    """
    if as_json:
        text = frame.to_json(orient="records", lines=True, date_format="iso", double_precision=15)
    else:
        text = frame.to_csv(index=False, float_format=digits if output is None else None)
    if output is None:
        print(text, end="")
    else:
        write(output, text)


def warn_of(collapsed: float) -> None:
    """Says that intervals have next to no width.

    Args:
        collapsed: The share of the steps at which they have none.
    """
    if collapsed:
        note = (
            f"The intervals have collapsed at {collapsed:.2%} of the steps: training saw too "
            "little like these inputs to say how sure the forecast is."
        )
        say([note])
