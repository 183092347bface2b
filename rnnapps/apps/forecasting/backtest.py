"""Forecasts from many origins, measured beside those that need no network."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from rnnapps import figures
from rnnapps.apps.forecasting.answers import Graph, forecasts
from rnnapps.apps.forecasting.baseline import prepare_baselines, training_measures
from rnnapps.apps.forecasting.data import Parts
from rnnapps.apps.forecasting.metrics import Scores, collapsed, series_apart
from rnnapps.apps.forecasting.networks import fill_missing
from rnnapps.data import times
from rnnapps.probabilistic import AdaptiveConformal

_SHOWN = 600  # steps of the backtest's figure
Batch = tuple[np.ndarray, ...]  # as `answers.forecasts` yields them


class Measured(dict[str, Any]):
    """The measures of forecasts, with the forecasts that are to be drawn of them.

    Args:
        measures: Those of `Scores.summary`; `baselines` with the same for each of them; where there
            are several series, `by_series` with what `series_apart` finds.
        windows: `(times, history, truth, forecast, quantiles)` of windows of one target, by time;
            the times are those of history and horizon.
        title: The first series and target, of which the windows are.
        stride: Steps between the windows.
        collapsed: Share of the intervals that have next to no width.
    """

    def __init__(
        self,
        measures: dict[str, Any],
        windows: Sequence[Batch] = (),
        title: str = "",
        stride: int = 1,
        collapsed: float = 0.0,
    ):
        super().__init__(measures)
        self.collapsed = collapsed
        self.windows, self.title, self.stride = list(windows), title, stride


def measure(
    batches: Iterable[Batch],
    parts: Parts,
    part: str,
    levels: Sequence[float],
    stride: int,
    baselines: bool,
) -> Measured:
    """Measures forecasts.

    Args:
        batches: The forecasts, as `answers.forecasts` yields them.
        parts: The series.
        part: Of which part the forecasts are.
        levels: The quantiles' levels.
        stride: Steps between origins.
        baselines: Whether to measure the baselines on the same windows, too.

    Returns:
        The measures.
    """
    task = parts.task
    center, spread, naive = training_measures(parts)
    scores = Scores(levels, spread, naive)
    others = prepare_baselines(parts, center, spread) if baselines else {}
    beside = {name: Scores(levels, spread, naive) for name in others}
    windows: list[Batch] = []
    shown = min(task.lookback, 2 * task.horizon)  # steps of a history that is drawn
    (origin, _), *_ = parts.spans(part)
    columns = task.columns
    stamps = times.in_zone(parts.data.series[0].times, columns.zone, columns.freq)
    odd = total = 0
    for history, truth, series, point, quantiles in batches:
        scores.update(truth, series, point, quantiles)
        odd += collapsed(quantiles, spread[series][:, None], task.lower).sum()
        total += point.size
        first = series == 0
        drawn = (history[:, -shown:], truth, point, quantiles)
        for row in zip(*(column[first, :, 0] for column in drawn), strict=True):
            windows.append((stamps[origin - shown : origin + task.horizon], *row))
            origin += stride
        filled = fill_missing(history)[0].numpy() if others else history
        shift, scale = center[series][:, None], spread[series][:, None]
        for name, forecast in others.items():
            beside[name].update(truth, series, forecast((filled - shift) / scale) * scale + shift)
    found = scores.summary(columns.targets)
    if baselines:
        found["baselines"] = {name: one.summary(columns.targets) for name, one in beside.items()}
    names = [one.name for one in parts.data.series]
    if len(names) > 1:
        found["by_series"] = series_apart(names, scores, list(beside.values()))
    title = " ".join(filter(None, (task.series[0], columns.targets[0])))
    return Measured(found, windows, title, stride, odd / max(1, total))


def adapted(
    batches: Iterable[Batch], levels: Sequence[float], stride: int, lower: Sequence[float | None]
) -> Iterator[Batch]:
    """Forecasts whose intervals follow what was observed before each origin.

    Args:
        batches: The forecasts, as `answers.forecasts` yields them.
        levels: The quantiles' levels.
        stride: Steps between origins.
        lower: For each target what no forecast goes below; see `Task`.

    Yields:
        The batches, with the intervals of each series' own `AdaptiveConformal`.
    """
    followers: dict[int, AdaptiveConformal] = collections.defaultdict(
        lambda: AdaptiveConformal(levels, stride, lower)
    )
    for history, truth, series, point, quantiles in batches:
        rows = zip(series.tolist(), truth, point, quantiles, strict=True)
        made = np.stack([followers[number].next(*row) for number, *row in rows])
        yield history, truth, series, point, made


def refitted(train: Callable[[Parts], Graph], parts: Parts, stride: int) -> Iterator[Batch]:
    """Forecasts of models each of which is trained anew, at its origin, on everything before it.

    Args:
        train: Trains a forecaster on parts; what it answers with.
        parts: The series; the length of the validation part stays what it is.
        stride: Steps between origins.

    Yields:
        The forecasts from the test part's origins, as `answers.forecasts` yields them.
    """
    spans = parts.spans("test")
    origins = range(max(len(range(first, last, stride)) for first, last in spans))
    quiet = Console(stderr=True)
    for i in track(origins, "training anew", console=quiet, disable=not quiet.is_terminal):
        ends, ones = [], []
        for (first, last), (end, validation, _) in zip(spans, parts.ends, strict=True):
            origin = min(first + i * stride, last)  # a shorter series has no more of them
            seen = min(origin, last - 1)
            ends.append((seen - (validation - end), seen, seen))
            ones.append((origin, origin + 1 if origin < last else origin))
        graph = train(dataclasses.replace(parts, ends=ends))
        yield from forecasts(graph, parts, ones)


def draw(
    found: dict[str, Any], levels: Sequence[float], units: Sequence[str], folder: pathlib.Path
) -> None:
    """Draws the error by horizon and, where forecasts were kept, some of them and their errors.

    Args:
        found: What `measure` found, or its measures as a run keeps them.
        levels: The quantiles' levels.
        units: The units of the targets, if they are known.
        folder: The folder of the figures.
    """
    errors = {"rnnapps": found, **found.get("baselines", {})}
    errors = {name: one["by_horizon"]["mae"] for name, one in errors.items() if "by_horizon" in one}
    figures.error_by_horizon(errors, folder / "error_by_horizon.png")
    if not isinstance(found, Measured) or not found.windows:
        return
    windows, title, stride = found.windows, found.title, found.stride
    unit = next(iter(units), "")
    stamps, *middle = windows[len(windows) // 2]
    figures.fan_chart(*middle, levels, title, folder / "fan_chart.png", stamps, unit)
    horizon = len(middle[1])
    apart = windows[:: max(1, -(-horizon // stride))][-max(1, _SHOWN // horizon) :]
    stamps, _, *rows = zip(*apart, strict=True)
    ahead = np.concatenate([one[-horizon:] for one in stamps])
    rows = [np.concatenate(column) for column in rows]
    figures.backtest(*rows, levels, horizon, title, folder / "backtest.png", ahead, unit)
    residuals = np.array([truth[0] - point[0] for _, _, truth, point, _ in windows])
    figures.autocorrelation(residuals, stride, folder / "residual_autocorrelation.png")
