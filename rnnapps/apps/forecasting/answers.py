"""Forecasts of many windows, batch by batch, in the data's own units."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rnnapps.apps.forecasting.data import Parts, Task
from rnnapps.data import Windows
from rnnapps.progress import tracked

_BATCH = 64  # windows that are forecast at once
Graph = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


class Answer(NamedTuple):
    """What is forecast for some windows.

    Args:
        point: The forecasts `(windows, horizon, targets)`.
        quantiles: `(windows, horizon, targets, levels)`.
        alone: What the network alone would have forecast, of the shape of `point`; `None` where
            nothing is combined with it.
    """

    point: np.ndarray
    quantiles: np.ndarray
    alone: np.ndarray | None = None


class Batch(NamedTuple):
    """Windows with what came true and what was forecast.

    Args:
        history: The look-backs `(windows, lookback, targets)`.
        truth: `(windows, horizon, targets)`, NaN where missing.
        series: The number of each window's series, `(windows,)`.
        origin: The step of that series at which its forecast begins, `(windows,)`.
        answer: The forecasts.
    """

    history: np.ndarray
    truth: np.ndarray
    series: np.ndarray
    origin: np.ndarray
    answer: Answer


def ask(
    graph: Graph, task: Task, history: np.ndarray, future: np.ndarray, series: Sequence[str]
) -> Answer:
    """Forecasts windows in the data's own units.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        task: What it forecasts from what.
        history: `(windows, lookback, columns)`.
        future: `(windows, horizon, future)`.
        series: The name of each window's series.

    Returns:
        The forecasts.
    """
    answers = []
    for start in range(0, len(history), _BATCH):
        rows = slice(start, start + _BATCH)
        inputs = {"history": tf.convert_to_tensor(history[rows])}
        if task.future:
            inputs["future_covariates"] = tf.convert_to_tensor(future[rows])
        if task.several:
            inputs["series"] = tf.constant(series[rows])
        answers.append({name: tensor.numpy() for name, tensor in graph(inputs).items()})
    found = {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}
    return Answer(found["forecast"], found["quantiles"], found.get("network"))


def forecasts(
    graph: Graph, parts: Parts, spans: Sequence[tuple[int, int]], stride: int = 1
) -> Iterator[Batch]:
    """Forecasts windows, a batch at a time, in the data's own units.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        parts: The series.
        spans: For each series the first origin, and the one after the last.
        stride: Steps between origins.

    Yields:
        The windows with their forecasts.
    """
    task, inputs = parts.task, ("history", "future", "series")
    windows = Windows(parts.values, spans, task, _BATCH, stride=stride, inputs=inputs)
    names = [one.name for one in parts.data.series]
    origins = np.concatenate([np.arange(first, last, stride) for first, last in spans])
    for batch, truth, weights in tracked(windows.one_pass(), "batches", len(windows)):
        count = np.count_nonzero(weights)  # the last batch is filled up
        batch = {name: tensor.numpy()[:count] for name, tensor in batch.items()}
        series = batch["series"]
        answer = ask(graph, task, batch["history"], batch["future"], [names[i] for i in series])
        here, origins = origins[:count], origins[count:]
        history = batch["history"][..., : task.targets]
        yield Batch(history, truth.numpy()[:count], series, here, answer)


def pairs(graph: Graph, parts: Parts, part: str) -> tuple[np.ndarray, np.ndarray]:
    """What was observed, NaN where missing, and forecasts: `(windows, horizon, targets)`."""
    batches = forecasts(graph, parts, parts.spans(part))
    truth, point = zip(*((batch.truth, batch.answer.point) for batch in batches), strict=True)
    return np.concatenate(truth), np.concatenate(point)
