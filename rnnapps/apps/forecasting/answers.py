"""Forecasts of many windows, a batch at a time, in the data's own units."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.data import Parts, Task
from rnnapps.data import Windows
from rnnapps.progress import tracked

_BATCH = 64  # windows that are forecast at once
Graph = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


def ask(
    graph: Graph, task: Task, history: np.ndarray, future: np.ndarray, series: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts windows in the data's own units.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        task: What it forecasts from what.
        history: `(windows, lookback, columns)`.
        future: `(windows, horizon, future)`.
        series: The name of each window's series.

    Returns:
        Point forecasts `(windows, horizon, targets)`, and quantiles `(windows, horizon, targets,
        levels)`.
    """
    answers = []
    for start in range(0, len(history), _BATCH):
        rows = slice(start, start + _BATCH)
        inputs = {"history": tf.convert_to_tensor(history[rows])}
        if task.future:
            inputs["future_covariates"] = tf.convert_to_tensor(future[rows])
        if task.several:
            inputs["series"] = tf.constant(series[rows])
        answer = graph(inputs)
        answers.append((answer["forecast"].numpy(), answer["quantiles"].numpy()))
    return tuple(np.concatenate(column) for column in zip(*answers, strict=True))


def forecasts(
    graph: Graph, parts: Parts, spans: Sequence[tuple[int, int]], stride: int = 1
) -> Iterator[tuple[np.ndarray, ...]]:
    """Forecasts windows, a batch at a time, in the data's own units.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        parts: The series.
        spans: For each series the first origin, and the one after the last.
        stride: Steps between origins.

    Yields:
        Histories `(windows, lookback, targets)`, truth `(windows, horizon, targets)`, the number of
        each window's series, point forecasts, and quantiles.
    """
    task, inputs = parts.task, ("history", "future", "series")
    windows = Windows(parts.values, spans, task, _BATCH, stride=stride, inputs=inputs)
    names = [one.name for one in parts.data.series]
    for batch, truth, weights in tracked(windows.one_pass(), "batches", len(windows)):
        series = batch["series"].numpy()
        answer = ask(graph, task, batch["history"], batch["future"], [names[i] for i in series])
        rows = weights.numpy() > 0  # the last batch is filled up
        history = batch["history"][..., : task.targets]
        columns = (history, truth, series, *answer)
        yield tuple(np.asarray(column)[rows] for column in columns)
