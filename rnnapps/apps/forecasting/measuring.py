"""Forecasts from many origins, measured beside those that need no network."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track

from rnnapps import figures
from rnnapps.apps.forecasting.baseline import baselines
from rnnapps.apps.forecasting.data import Parts
from rnnapps.apps.forecasting.network import fill_missing
from rnnapps.apps.forecasting.scores import Scores
from rnnapps.apps.forecasting.tracking import Tracker
from rnnapps.data import NOISE, Windows
from rnnapps.progress import working

if TYPE_CHECKING:
    from rnnapps.apps.forecasting.app import Forecaster

_SHOWN = 600  # steps of the backtest's figure


@dataclasses.dataclass
class Measured:
    """What was found, and what is to be drawn of it.

    Args:
        found: The measures of `Scores.summary`; `baselines` with the same for each of them.
        title: The first series and target, of which the windows are.
        windows: `(history, truth, forecast, quantiles)` of windows, by time.
        stride: Steps between them.
    """

    found: dict[str, Any]
    title: str
    windows: list[tuple[np.ndarray, ...]]
    stride: int

    def draw(self, folder: pathlib.Path, levels: tuple[float, ...]) -> None:
        """Draws the fan chart, the error by horizon, the backtest and the autocorrelation."""
        errors = {"rnnapps": self.found, **self.found.get("baselines", {})}
        errors = {k: v["by_horizon"]["mae"] for k, v in errors.items() if "by_horizon" in v}
        figures.error_by_horizon(errors, folder / "error_by_horizon.png")
        if not self.windows:
            return
        middle = self.windows[len(self.windows) // 2]
        figures.fan_chart(*middle, levels, self.title, folder / "fan_chart.png")
        horizon = len(middle[1])
        apart = self.windows[:: max(1, -(-horizon // self.stride))][-max(1, _SHOWN // horizon) :]
        rows = [np.concatenate(column) for column in list(zip(*apart, strict=True))[1:]]
        figures.backtest(*rows, levels, horizon, self.title, folder / "backtest.png")
        residuals = np.array([truth[0] - point[0] for _, truth, point, _ in self.windows])
        figures.autocorrelation(residuals, self.stride, folder / "residual_autocorrelation.png")


def measure(
    app: "Forecaster",
    parts: Parts,
    part: str,
    stride: int = 1,
    with_baselines: bool = False,
    follow: bool = False,
) -> Measured:
    """Measures a forecaster on a part.

    Args:
        app: The trained forecaster.
        parts: The series.
        part: `"validation"` or `"test"`.
        stride: Steps between origins.
        with_baselines: Whether to measure the baselines, too.
        follow: Whether each origin's intervals follow what has come true before it.

    Returns:
        What was found.
    """
    with working(f"forecasting the {part} part"):
        batches = app.answers(parts, parts.spans(part), stride)
        if follow and app.config.conformal:
            batches = _followed(batches, app.config.quantiles, stride, parts.task.lower)
        return _gather(app, parts, batches, stride, with_baselines)


def refitted(app: "Forecaster", parts: Parts, stride: int) -> Measured:
    """Measures a forecaster that is trained anew at each of the test part's origins.

    It learns from everything before the origin; the length of the validation part stays what it
    is. See `measure`.
    """
    spans = parts.spans("test")
    origins = range(max(len(range(first, last, stride)) for first, last in spans))

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        quiet = Console(stderr=True)
        for i in track(origins, "training anew", console=quiet, disable=not quiet.is_terminal):
            ends, ones = [], []
            for (first, last), (train, validation, _) in zip(spans, parts.ends, strict=True):
                origin = min(first + i * stride, last)  # a shorter series has no more of them
                seen = min(origin, last - 1)
                ends.append((seen - (validation - train), seen, seen))
                ones.append((origin, origin + 1 if origin < last else origin))
            again = type(app)(app.config)
            again.learn(dataclasses.replace(parts, ends=ends))
            yield from again.answers(parts, ones)

    return _gather(app, parts, batches(), stride, with_baselines=True)


def _followed(
    batches: Iterator[tuple[np.ndarray, ...]],
    levels: tuple[float, ...],
    stride: int,
    lower: tuple[float | None, ...],
) -> Iterator[tuple[np.ndarray, ...]]:
    """The batches with the intervals of each series' own `Tracker`."""
    trackers: dict[int, Tracker] = collections.defaultdict(lambda: Tracker(levels, stride, lower))
    for history, truth, series, point, quantiles in batches:
        rows = zip(series.tolist(), truth, point, quantiles, strict=True)
        made = np.stack([trackers[number].next(*row) for number, *row in rows])
        yield history, truth, series, point, made


def _gather(
    app: "Forecaster",
    parts: Parts,
    batches: Iterator[tuple[np.ndarray, ...]],
    stride: int,
    with_baselines: bool,
) -> Measured:
    task, levels = parts.task, app.config.quantiles
    center, spread, naive = _measures_of(parts)
    others: dict[str, Callable] = {}
    if with_baselines:
        others = _baselines(parts, center, spread)
    scores = Scores(levels, spread, naive)
    beside = {name: Scores(levels, spread, naive) for name in others}
    shown = []
    for history, truth, series, point, quantiles in batches:
        scores.update(truth, series, point, quantiles)
        kept = series == 0
        columns = (history[:, -2 * task.horizon :], truth, point, quantiles)
        shown += zip(*(column[kept, :, 0] for column in columns), strict=True)
        filled = fill_missing(history)[0].numpy() if others else history
        shift, scale = center[series][:, None], spread[series][:, None]
        for name, forecast in others.items():
            beside[name].update(truth, series, forecast((filled - shift) / scale) * scale + shift)
    found = scores.summary(task.columns.targets)
    if with_baselines:
        summaries = {name: one.summary(task.columns.targets) for name, one in beside.items()}
        found["baselines"] = summaries
        if app.config.data == "sample" and task.columns.targets == ("load",):
            found["baselines"]["noise alone"] = {
                "mae": NOISE * np.sqrt(2 / np.pi), "rmse": NOISE, "mse": NOISE**2,
            }  # fmt: skip
    title = " ".join(filter(None, (task.series[0], task.columns.targets[0])))
    return Measured(found, title, shown, stride)


def _measures_of(parts: Parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, deviation and the seasonal naive error of training, each `(series, targets)`."""
    season, targets, rows = parts.task.season, parts.task.targets, []
    for part in parts.training:
        part = part[:, :targets].astype(float)
        off = np.abs(part[season:] - part[:-season])
        naive = np.nanmean(off, axis=0) if np.isfinite(off).any(0).all() else np.ones(targets)
        spread = np.nanstd(part, 0)  # 0 of a constant series, as is the naive forecast's error
        spread, naive = (np.where(size > 0, size, 1) for size in (spread, naive))
        rows.append((np.nanmean(part, 0), spread, naive))
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def _baselines(parts: Parts, center, spread) -> dict[str, Callable]:
    task = parts.task
    standard = [
        ((one[:, : task.targets] - c) / s).astype(np.float32)
        for one, c, s in zip(parts.values, center, spread, strict=True)
    ]
    train, validation = (
        Windows(standard, parts.spans(part), task.lookback, task.horizon, task.targets,
                batch_size=256)
        for part in ("train", "validation")
    )  # fmt: skip
    with working("fitting the baselines"):
        return baselines(train, validation, task.season)
