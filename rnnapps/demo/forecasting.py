"""The tab of a forecaster: a fan chart from an origin, of one's own table or the run's data."""

import dataclasses
import functools
import itertools
import json
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd

from rnnapps import figures
from rnnapps.apps.forecasting.client import forecast_series, read_for
from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.parts import series_of
from rnnapps.config import SeriesOptions
from rnnapps.data import Series, SeriesSet, make_load
from rnnapps.demo.asking import downloadable, said
from rnnapps.demo.examples import Example, offer, own, quickly_read
from rnnapps.demo.marks import drawing, ranked
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import phrase
from rnnapps.errors import DataError

_SEEN = 3  # horizons of history in the chart
_MOST = 1000  # steps before the end


def build(shown: Shown, page: gr.Blocks) -> None:
    """Builds the tab.

    Args:
        shown: The model.
        page: What the tab is on.
    """
    described = json.loads(shown.asset("task.json"))
    task = Task.from_dict(described["task"])
    file = gr.File(label=phrase("file"), type="filepath", height=170)
    with gr.Row():
        column = gr.Dropdown(
            list(task.columns.targets), value=task.columns.targets[0], label=phrase("column")
        )
        name = gr.Dropdown(
            list(task.series), value=task.series[0], label=phrase("series"), visible=task.several,
            allow_custom_value=True,
        )  # fmt: skip
    back = gr.Slider(0, _MOST, task.horizon, step=1, label=phrase("back"))
    lines = gr.Checkbox(True, label=phrase("baselines"))
    button = gr.Button(phrase("forecast"), variant="primary")
    own_series = functools.cache(lambda: _own_series(shown, described, task))

    def answer(path: str | None, *options: Any) -> tuple[str, str, Any]:
        try:
            found = read_for(described, pathlib.Path(path), _how(shown)) if path else own_series()
            if found is None:
                raise DataError(
                    "Expected a table: the data of this model is not here. Received: none."
                )
            chart, first, csv = forecast(shown, described, found, *options)
            return chart, first, downloadable(csv)
        except DataError as error:  # Gradio's temporary folder is nothing to a person
            raise DataError(
                error.args[0].replace(path, pathlib.Path(path).name) if path else error.args[0]
            ) from None

    inputs = [file, column, name, back, lines]
    offer(page, lambda: own(shown, lambda: origins(task, own_series())), inputs[:-1])
    chart, table = gr.HTML(), gr.HTML()
    download = gr.DownloadButton(phrase("download"), visible=False)
    button.click(said(answer, 3), inputs, [chart, table, download], api_name=False)


def origins(task: Task, found: SeriesSet) -> Iterator[Example]:
    """Examples of what to forecast, each series or target from a horizon before its end first.

    Args:
        task: What is forecast from what.
        found: The series.
    """
    backs = [times * task.horizon for times in (1, 0, 2, 3, 4) if times * task.horizon <= _MOST]
    for back, one, column in itertools.product(backs, found.series, task.columns.targets):
        end = _origin(one, task, back)
        known_ahead = not task.columns.future or end + task.horizon <= len(one)
        if end >= task.lookback and known_ahead:
            what = [one.name] * task.several + [column] * (task.targets > 1 or not task.several)
            label = f"{', '.join(what)}: {one.times[end - 1]}"
            yield Example(label, (None, column, one.name, back))


def forecast(
    shown: Shown,
    described: dict[str, Any],
    found: SeriesSet,
    column: str,
    name: str,
    back: int,
    with_baselines: bool,
) -> tuple[str, str, str]:
    """A forecast from an origin.

    Args:
        shown: The model.
        described: Its `task.json`.
        found: The series.
        column: Which target.
        name: Which series, where there are several.
        back: How many steps before the last value the origin is.
        with_baselines: Whether to draw what repeats the last value and the last season, too.

    Returns:
        The chart and the first steps as HTML, and a CSV of all.

    Raises:
        DataError: If the series is too short, or there is no such one.
    """
    task, names = Task.from_dict(described["task"]), [one.name for one in found.series]
    if task.several and name not in names:
        raise DataError(f"Expected one of the table's series. Received: {name!r}.")
    one = found.series[names.index(name) if task.several else 0]
    place = task.columns.targets.index(column)
    end = _origin(one, task, int(back))
    if end < 1:
        raise DataError(
            f"Expected an origin within the series' {end + back} steps. Received: {back} back."
        )
    cut = _until(one, end, task)
    frame = forecast_series(
        shown.client, described, dataclasses.replace(found, series=[cut]), "the table"
    )
    frame = frame[frame["target"] == column].reset_index(drop=True)
    levels = described["quantiles"]
    history = one.values[max(0, end - _SEEN * task.horizon) : end, place]
    truth = np.full(task.horizon, np.nan)
    seen = one.values[end : end + task.horizon, place]
    truth[: len(seen)] = seen
    stamps = [*one.times[max(0, end - _SEEN * task.horizon) : end], *_plain(frame["time"])]
    others = _baselines(one.values[:end, place], task) if with_baselines else {}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rnnapps-demo-"))
    quantiles = frame[[f"q{level:g}" for level in levels]].to_numpy()
    figures.fan_chart(
        history, truth, frame["forecast"].to_numpy(), quantiles, levels, column,
        folder / "chart.svg", pd.Index(stamps), others=others,
    )  # fmt: skip
    frame.to_csv(folder / "forecast.csv", index=False)
    first = [
        (str(row["time"]), f"{row['forecast']:.4g}") for row in frame.head(5).to_dict("records")
    ]
    told = f"{column}: {', '.join(f'{when} {value}' for when, value in first)}"
    chart = drawing((folder / "chart.svg").read_text("utf-8"), column, told)
    return chart, ranked(first), str(folder / "forecast.csv")


def _origin(one: Series, task: Task, back: int) -> int:
    """How many steps are known at an origin that is a number of steps before the last value."""
    known = np.isfinite(one.values[:, : task.targets]).any(1)
    return len(known) - int(known[::-1].argmax()) - back if known.any() else -back


def _until(one: Series, end: int, task: Task) -> Series:
    """A series that ends at an origin, with what is known of the horizon."""
    values = one.values[: end + task.horizon].copy()
    values[end:, : task.targets] = np.nan
    return dataclasses.replace(one, times=one.times[: end + task.horizon], values=values)


def _baselines(values: np.ndarray, task: Task) -> dict[str, np.ndarray]:
    """What repeats the last value, and the last season."""
    filled = pd.Series(values).ffill().to_numpy()
    found = {"last value": np.full(task.horizon, filled[-1])}
    if 1 < task.season <= len(filled):
        found["seasonal naive"] = np.resize(filled[-task.season :], task.horizon)
    return found


def _plain(times: pd.Series) -> list[Any]:
    """Time stamps without their zone, as those of a series are."""
    zoned = isinstance(times.dtype, pd.DatetimeTZDtype)
    return list(times.dt.tz_localize(None) if zoned else times)


def _own_series(shown: Shown, described: dict[str, Any], task: Task) -> SeriesSet | None:
    """The series of the run's own table, or what it keeps of them; `None` where neither is here."""
    if shown.examples and not quickly_read(shown):
        return series_of(shown.examples, task)
    config = shown.config
    if config is None or not (config.data == "sample" or pathlib.Path(config.data).is_file()):
        return None
    table = make_load() if config.data == "sample" else pathlib.Path(config.data)
    return read_for(described, table, _how(shown))


def _how(shown: Shown) -> SeriesOptions:
    names = SeriesOptions.model_fields
    return SeriesOptions(**{key: shown.settings[key] for key in names if key in shown.settings})
