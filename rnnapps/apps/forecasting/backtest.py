"""Backtests: forecasts from many origins, next to baselines."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from rnnapps import figures
from rnnapps.apps.forecasting.answers import Batch, Graph, forecasts
from rnnapps.apps.forecasting.baseline import (
    NOISE_ALONE,
    is_sample,
    prepare_baselines,
    training_measures,
)
from rnnapps.apps.forecasting.config import ForecastingConfig
from rnnapps.apps.forecasting.data import Parts
from rnnapps.apps.forecasting.metrics import (
    Scores,
    collapsed,
    repeats_last,
    said_of_skill,
    series_apart,
    skill,
    without_scale,
)
from rnnapps.apps.forecasting.naive2 import Naive2, overall_weighted_average
from rnnapps.apps.forecasting.networks import fill_missing
from rnnapps.apps.forecasting.printing import warn_of
from rnnapps.data import times
from rnnapps.errors import DataError
from rnnapps.probabilistic import AdaptiveConformal
from rnnapps.progress import say, working

_SHOWN = 600  # steps of the backtest's figure
NAIVE2, ALONE = "Naive2", "network alone"
Drawn = tuple[np.ndarray, ...]  # a window of one target; see `Measured`


class Measured(dict[str, Any]):
    """The measures of forecasts, with the forecasts that are to be drawn of them.

    Args:
        measures: Those of `Scores.summary`; `baselines` with the same for each of them; where there
            are several series, `by_series` with what `series_apart` finds.
        windows: `(times, history, truth, forecast, quantiles)` of windows of one target, by time;
            the times are those of history and horizon.
        title: The first series and target, of which the windows are.
        stride: Steps between the windows.
        notes: What is odd about the forecasts, a sentence each.
        collapsed: Share of the intervals that have next to no width.
    """

    def __init__(
        self,
        measures: dict[str, Any],
        windows: Sequence[Drawn] = (),
        title: str = "",
        stride: int = 1,
        notes: Sequence[str] = (),
        collapsed: float = 0.0,
    ):
        super().__init__(measures)
        self.notes, self.collapsed = tuple(notes), collapsed
        self.windows, self.title, self.stride = list(windows), title, stride


def evaluate(
    graph: Graph,
    train: Callable[[Parts], Graph] | None,
    parts: Parts,
    part: str,
    config: ForecastingConfig,
    backtest: bool,
    stride: int | None,
) -> Measured:
    """Measures a forecaster on a part, and the baselines beside it.

    Args:
        graph: A `ForecastPipeline`, or the function that it was compiled to.
        train: Trains one on parts, to be called at each origin; `None` for `graph` at all of them.
        parts: The series.
        part: `"validation"` or `"test"`.
        config: The configuration.
        backtest: Whether to forecast from origins a horizon apart, instead of from each; the
            intervals then follow what was observed before each origin (`AdaptiveConformal`).
        stride: Steps between origins, instead.

    Returns:
        The measures of `Scores.summary`; `baselines` with the same for each of them, and for the
        network alone where it is combined; `skill` (see there); where Naive2 is defined, everyone's
        `owa`; and where there are several series, `by_series` with `mae`, `mase`,
        `best_baseline_mae` of each.

    Raises:
        DataError: If `stride` or training anew is out of place.
    """
    if stride is not None and stride < 1:
        raise DataError(f"Expected --stride to be at least 1. Received: {stride}.")
    if train and not backtest:
        raise DataError("Expected --backtest with --refit.")
    task, levels = parts.task, config.quantiles
    stride = stride or (task.horizon if backtest else 1)
    if train:
        batches = refitted(train, parts, stride)
    else:
        batches = forecasts(graph, parts, parts.spans(part), stride)
        if backtest and config.conformal:
            batches = adapted(batches, levels, stride, task.lower)
    with working(f"forecasting the {part} part"):
        found = measure(batches, parts, part, levels, stride, baselines=True)
    warn_of(found.collapsed)
    say(found.notes)
    if task.columns.targets == ("load",) and is_sample(parts):
        found["baselines"]["noise alone"] = NOISE_ALONE
    return found


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
    horizon, targets = task.horizon, task.columns.targets
    center, *scales = training_measures(parts)
    spread = scales[0]
    scores = Scores(levels, *scales)
    others = prepare_baselines(parts, center, spread) if baselines else {}
    beside = {name: Scores(levels, *scales) for name in others}
    alone = Scores(levels, *scales)
    competition = _Competition(parts, part) if baselines else None
    windows: list[Drawn] = []
    shown = min(task.lookback, 2 * horizon)  # steps of a history that is drawn
    columns = task.columns
    stamps = times.in_zone(parts.data.series[0].times, columns.zone, columns.freq)
    odd = total = 0
    combined = False
    moves = np.zeros(2)  # from the last value, of forecasts and of what came true
    for history, truth, series, origin, (point, quantiles, network) in batches:
        scores.update(truth, series, point, quantiles)
        odd += collapsed(quantiles, spread[series][:, None], task.lower).sum()
        total += point.size
        first = series == 0
        drawn = (history[:, -shown:], truth, point, quantiles)
        for start, *row in zip(
            origin[first], *(column[first, :, 0] for column in drawn), strict=True
        ):
            row[0] = row[0][-start:]  # a series may begin within its look-back
            windows.append((stamps[max(0, start - shown) : start + horizon], *row))
        shift, scale = center[series][:, None], spread[series][:, None]
        filled = fill_missing((history - shift) / scale, task.padded)[0].numpy()
        away = [np.abs((one - shift) / scale - filled[:, -1:]) for one in (point, truth)]
        known = np.isfinite(truth)
        moves += [np.where(known, one, 0).sum() for one in away]
        simple = {name: forecast(filled) * scale + shift for name, forecast in others.items()}
        for name, values in simple.items():
            beside[name].update(truth, series, values)
        if network is not None:
            combined = True
            alone.update(truth, series, network)
        if competition:
            own = {} if network is None else {ALONE: network}
            competition.update(truth, series, origin, history, {"": point, **simple, **own})
    found = scores.summary(targets)
    notes = [repeats_last(*moves), without_scale(scores.naive)] if total else []
    if competition:
        found["baselines"] = {name: one.summary(targets) for name, one in beside.items()}
        by = "RMSSE" if task.loss == "mse" else "MASE"
        if by.lower() in found:
            found["skill"] = skill(scores, beside, -(-2 * horizon // stride), by)
            notes.append(said_of_skill(found["skill"]))
        if combined:
            found["baselines"][ALONE] = alone.summary(targets)
        competition.add_to(found)
    names = [one.name for one in parts.data.series]
    if len(names) > 1:
        found["by_series"] = series_apart(names, scores, list(beside.values()))
    title = " ".join(filter(None, (task.series[0], targets[0])))
    notes = [note for note in notes if note]
    return Measured(found, windows, title, stride, notes, odd / max(1, total))


class _Competition:
    """Naive2, and the overall weighted average by it; nothing where Naive2 is not defined.

    Its MASE is scaled, as the competition scales it, by all that precedes the part.

    Args:
        parts: The series.
        part: The part that is measured.
    """

    def __init__(self, parts: Parts, part: str):
        self.padded = parts.task.padded
        self.horizon, self.targets = parts.task.horizon, parts.task.columns.targets
        known = [
            one[:first, : len(self.targets)]
            for one, (first, _) in zip(parts.values, parts.spans(part), strict=True)
        ]
        try:
            self.naive2 = Naive2(known, parts.task.season)
        except ValueError:
            self.naive2 = None
        self.scores: dict[str, Scores] = {}

    def update(self, truth, series, origin, history, forecasts: dict[str, np.ndarray]) -> None:
        """Adds windows, and what each forecaster says of them."""
        if not self.naive2:
            return
        last = fill_missing(history, self.padded)[0].numpy()[:, -1]
        naive2 = self.naive2.forecast(last, series, origin, self.horizon)
        for name, forecast in {**forecasts, NAIVE2: naive2}.items():
            ones = np.ones_like(self.naive2.errors)
            scores = self.scores.setdefault(name, Scores((), ones, self.naive2.errors))
            scores.update(truth, series, forecast)

    def add_to(self, found: dict[str, Any]) -> None:
        """Adds Naive2 to the baselines, and everyone's `owa`."""
        if not self.scores:
            return
        measured = {name: one.summary(self.targets) for name, one in self.scores.items()}
        kept = ("mae", "rmse", "mse", "mase", "smape", "by_horizon")
        found["baselines"][NAIVE2] = {name: measured[NAIVE2][name] for name in kept}
        for name, one in measured.items():
            row = found["baselines"][name] if name else found
            row["owa"] = overall_weighted_average(one, measured[NAIVE2])


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
    for batch in batches:
        point, quantiles, _ = batch.answer
        rows = zip(batch.series.tolist(), batch.truth, point, quantiles, strict=True)
        made = np.stack([followers[number].next(*row) for number, *row in rows])
        yield batch._replace(answer=batch.answer._replace(quantiles=made))


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
