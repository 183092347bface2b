"""Every plot; each function writes one PNG."""

import itertools
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

# Okabe and Ito's colours, which those who are colour-blind tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_PANELS = 8  # at most, one below the other


def _plot(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure, and its axes or, of several columns, a list of them."""
    figure = Figure(figsize=(width, height))
    row = figure.subplots(1, columns, squeeze=False, gridspec_kw={"wspace": 0.35})[0]
    for axes in row:
        axes.set_prop_cycle(color=_COLOURS)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure, row if columns > 1 else row[0]


def _legend(axes: Any) -> None:
    """Puts the legend beside the data, never over it."""
    axes.legend(
        frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0
    )


def _save(figure: Figure, path: pathlib.Path | str) -> None:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # a font without a text's letters draws boxes
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(path, dpi=120, bbox_inches="tight")


def learning_curves(history: Sequence[dict[str, float]], path: pathlib.Path | str) -> None:
    """Draws each metric over the epochs, training and validation together.

    Args:
        history: One dictionary of metrics for each epoch.
        path: The PNG to write.
    """
    names = [n for n in (history[0] if history else {}) if not n.startswith("val_")]
    names = [n for n in names if n not in ("epoch", "learning_rate")] or ["loss"]
    figure, row = _plot(4.5 * len(names), 3.2, len(names))
    for name, axes in zip(names, np.atleast_1d(row), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            points = [(row["epoch"], row[key]) for row in history if key in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    _legend(axes)  # of all of them
    _save(figure, path)


def confusion_matrix(
    counts: Sequence[Sequence[int]], classes: Sequence[str], path: pathlib.Path | str
) -> None:
    """Draws how often each true class was taken for each other.

    Args:
        counts: Counts `(classes, classes)`; rows are true classes.
        classes: The classes' names.
        path: The PNG to write.
    """
    counts = np.asarray(counts)
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    size = 1.8 + 0.8 * len(classes)
    figure = Figure(figsize=(size, size))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*counts.shape):
        colour = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45, ha="right")
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="predicted", ylabel="true")
    _save(figure, path)


def reliability_diagram(points: np.ndarray, path: pathlib.Path | str) -> None:
    """Draws accuracy against confidence; a calibrated model lies on the diagonal.

    Args:
        points: `(bins, 3)`: mean confidence, accuracy, share of the examples.
        path: The PNG to write.
    """
    confidence, accuracy, share = points.T
    figure, axes = _plot(4, 4)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="calibrated")
    axes.plot(confidence, accuracy, label="observed")
    axes.scatter(confidence, accuracy, s=20 + 400 * share, color=_COLOURS[0], alpha=0.6)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    _legend(axes)
    _save(figure, path)


def scores_by_trial(
    trials: Sequence[dict], objective: str, direction: str, folder: pathlib.Path | str
) -> None:
    """Draws a search's scores in the order of its trials, and the best so far.

    Args:
        trials: What `rnnapps.tuning` says of each finished trial: `trial`, `score`, `values`.
        objective: The score's name.
        direction: `"max"` or `"min"`.
        folder: Where `scores_by_trial.png` goes.
    """
    ordered = sorted(trials, key=lambda trial: int(trial["trial"]))
    scores = np.array([trial["score"] for trial in ordered])
    best = (np.maximum if direction == "max" else np.minimum).accumulate(scores)
    figure, axes = _plot(5, 3.2)
    axes.scatter([trial["trial"] for trial in ordered], scores, s=20, label="trial")
    axes.step([trial["trial"] for trial in ordered], best, where="post", label="best so far")
    axes.set(xlabel="trial", ylabel=objective)
    _legend(axes)
    _save(figure, pathlib.Path(folder, "scores_by_trial.png"))


def scores_by_setting(trials: Sequence[dict], objective: str, folder: pathlib.Path | str) -> None:
    """Draws a search's scores against the values of each setting that it varied.

    Args:
        trials: What `rnnapps.tuning` says of each finished trial: `trial`, `score`, `values`.
        objective: The score's name.
        folder: Where `scores_by_setting.png` goes.
    """
    names = list(trials[0]["values"])
    figure, row = _plot(3.2 * len(names), 3.2, len(names))
    for name, axes in zip(names, np.atleast_1d(row), strict=True):
        values = [trial["values"][name] for trial in trials]
        if not all(isinstance(value, float | int) for value in values):
            values = [str(value) for value in values]
        axes.scatter(values, [trial["score"] for trial in trials], s=20, alpha=0.7)
        axes.set(xlabel=name, ylabel=objective)
    _save(figure, pathlib.Path(folder, "scores_by_setting.png"))


def quality_by_time(
    curves: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    measure: str,
    path: pathlib.Path | str,
) -> None:
    """Draws what contenders had reached on the validation part, against the time of training.

    Args:
        curves: For each contender, seconds and values at the end of each epoch, a pair for each
            seed.
        measure: What the values are.
        path: The PNG to write.
    """
    figure, axes = _plot(5, 3.2)
    for colour, (name, seeds) in zip(itertools.cycle(_COLOURS), curves.items()):
        for i, (seconds, values) in enumerate(seeds):
            label = None if i else name
            axes.plot(seconds, values, marker="o", markersize=3, color=colour, label=label)
    axes.set(xlabel="seconds of training", ylabel=f"{measure} of the validation part")
    _legend(axes)
    _save(figure, path)


def gradient_flow(norms: dict[str, np.ndarray], path: pathlib.Path | str) -> None:
    """Draws the norms of dL/dh[t] over t.

    Args:
        norms: What `rnnapps.training.gradient_flow` finds.
        path: The PNG to write.
    """
    figure, axes = _plot(5, 3.2)
    for name, values in norms.items():
        axes.semilogy(np.maximum(values, np.finfo(float).tiny), label=name)
    axes.set(xlabel="step", ylabel="norm of dL/dh")
    _legend(axes)
    _save(figure, path)


# Forecasts.


def fan_chart(
    history: np.ndarray,
    truth: np.ndarray,
    forecast: np.ndarray,
    quantiles: np.ndarray,
    levels: Sequence[float],
    title: str,
    path: pathlib.Path | str,
    times: Sequence[Any] | None = None,
    units: str = "",
    others: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Draws one forecast with its intervals, after what came before it.

    Args:
        history: The last known values `(time,)`.
        truth: What was observed after them `(horizon,)`.
        forecast: What was forecast `(horizon,)`.
        quantiles: Its quantiles `(horizon, levels)`.
        levels: Their levels.
        title: What is forecast.
        path: The PNG to write.
        times: The time stamps of history and horizon; `None` counts steps.
        units: The units of the values.
        others: Other forecasts `(horizon,)` by name, such as baselines'.
    """
    figure, axes = _plot(8, 3.2)
    steps = np.arange(1 - len(history), 1 + len(truth)) if times is None else np.asarray(times)
    known, ahead = steps[: len(history)], steps[len(history) :]
    _intervals(axes, ahead, quantiles, levels)
    axes.plot(known, history, color="black", linewidth=1, label="history")
    axes.plot(ahead, truth, color="black", linewidth=1, linestyle=":", label="observed")
    axes.plot(ahead, forecast, color=_COLOURS[1], label="forecast")
    for colour, (name, values) in zip(_COLOURS[2:], (others or {}).items(), strict=False):
        axes.plot(ahead, values, color=colour, linewidth=1, linestyle="--", label=name)
    _time_axis(axes, times, "step", title, units)
    _save(figure, path)


def backtest(
    truth: np.ndarray,
    forecast: np.ndarray,
    quantiles: np.ndarray,
    levels: Sequence[float],
    horizon: int,
    title: str,
    path: pathlib.Path | str,
    times: Sequence[Any] | None = None,
    units: str = "",
) -> None:
    """Draws forecasts from origins a horizon apart over what was observed.

    Args:
        truth: `(time,)`.
        forecast: `(time,)`.
        quantiles: `(time, levels)`.
        levels: Their levels.
        horizon: Steps of each forecast.
        title: What is forecast.
        path: The PNG to write.
        times: The time stamps; `None` counts steps.
        units: The units of the values.
    """
    figure, axes = _plot(10, 3.2)
    steps = np.arange(len(truth)) if times is None else np.asarray(times)
    _intervals(axes, steps, quantiles, levels)
    axes.plot(steps, truth, color="black", linewidth=1, label="observed")
    for start in range(0, len(truth), horizon):
        part, label = slice(start, start + horizon), None if start else "forecast"
        axes.plot(steps[part], forecast[part], color=_COLOURS[1], label=label)
    _time_axis(axes, times, "step of the test part's end", title, units)
    _save(figure, path)


def alarms(parts: dict[str, tuple[np.ndarray, ...]], path: pathlib.Path | str) -> None:
    """Draws series, what was forecast of each step, and at which there were alarms.

    Args:
        parts: For each series by its name its time stamps or numbers of steps, what was
            observed and forecast, and where the alarms are, `(time,)` each; the first eight are
            drawn, one below the other.
        path: The PNG to write.
    """
    shown = list(parts.items())[:_PANELS]
    figure = Figure(figsize=(10, 2.2 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for panel, (title, (steps, observed, forecast, alarm)) in zip(panels, shown, strict=True):
        panel.plot(steps, observed, color="black", linewidth=0.8, label="observed")
        panel.plot(steps, forecast, color=_COLOURS[0], linewidth=0.8, label="forecast")
        at = np.flatnonzero(alarm)
        panel.plot(steps[at], observed[at], "o", color=_COLOURS[1], markersize=4, label="alarm")
        dated = None if np.issubdtype(steps.dtype, np.number) else steps
        _time_axis(panel, dated, "step", title, "")
    _save(figure, path)


def contributions(
    columns: dict[str, tuple[np.ndarray, np.ndarray]], title: str, path: pathlib.Path | str
) -> None:
    """Draws what each column adds to a forecast, in all and by its lags.

    Args:
        columns: For each column its lags and their contributions; the eight that weigh most are
            drawn by their lags.
        title: What is forecast.
        path: The PNG to write.
    """
    figure, (left, right) = _plot(10, 3.2, columns=2)
    sums = {name: float(values.sum()) for name, (_, values) in columns.items()}
    left.barh(list(sums), list(sums.values()))
    left.invert_yaxis()
    left.set(xlabel="contribution", title=title)
    weights = {name: float(np.abs(values).sum()) for name, (_, values) in columns.items()}
    for name in sorted(weights, key=weights.__getitem__, reverse=True)[:_PANELS]:
        lags, values = columns[name]
        order = np.argsort(-lags)
        right.plot(-lags[order], values[order], linewidth=1, label=name)
    right.set(xlabel="step, the forecast's first is 0", ylabel="contribution")
    _legend(right)
    _save(figure, path)


def _time_axis(axes: Any, times: Sequence[Any] | None, steps: str, title: str, units: str) -> None:
    """Labels a series' axes, and puts the legend beside it."""
    axes.set(xlabel=steps if times is None else "", title=title, ylabel=units)
    if times is not None:
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    _legend(axes)


def error_by_horizon(errors: dict[str, Sequence[float]], path: pathlib.Path | str) -> None:
    """Draws the mean absolute error of several forecasters over the horizon.

    Args:
        errors: For each forecaster its error at each step.
        path: The PNG to write.
    """
    figure, axes = _plot(5, 3.2)
    for i, (name, values) in enumerate(errors.items()):
        marker = "o" if len(values) == 1 else None
        axes.plot(range(1, len(values) + 1), values, marker=marker, linewidth=1 if i else 2,
                  label=name)  # fmt: skip
    axes.set(xlabel="step ahead", ylabel="mean absolute error", ylim=(0, None))
    _legend(axes)
    _save(figure, path)


def autocorrelation(residuals: np.ndarray, stride: int, path: pathlib.Path | str) -> None:
    """Draws how errors one step ahead hang together from origin to origin.

    Args:
        residuals: The errors by time `(origins,)`, NaN where missing.
        stride: Steps between origins.
        path: The PNG to write.
    """
    known = np.isfinite(residuals)
    centred = np.where(known, residuals - np.nanmean(residuals) if known.any() else 0, 0)
    total = float(centred @ centred) or 1.0
    lags = np.arange(1, min(72, max(2, len(residuals) // 2)))
    values = [float(centred[lag:] @ centred[:-lag]) / total for lag in lags]
    figure, axes = _plot(5, 3.2)
    axes.vlines(lags * stride, 0, values)
    bound = 1.96 / np.sqrt(max(1, known.sum()))
    axes.axhspan(-bound, bound, alpha=0.2)  # 95 % of the lags of independent errors
    axes.set(xlabel="steps between errors", ylabel="autocorrelation", ylim=(-1, 1))
    _save(figure, path)


def _intervals(axes, steps: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> None:
    """Shades the intervals between pairs of quantiles, the narrower the darker."""
    for pair in range(len(levels) // 2):
        low, high = quantiles[:, pair], quantiles[:, -1 - pair]
        label = f"{100 * (1 - 2 * levels[pair]):g} %"
        axes.fill_between(steps, low, high, color=_COLOURS[0], alpha=0.15, linewidth=0)
        shade = 1 - 0.85 ** (pair + 1)  # of as many layers, one on the other
        axes.fill_between(
            steps[:0], [], [], color=_COLOURS[0], alpha=shade, linewidth=0, label=label
        )


def bits_along(curves: dict[str, Sequence[float]], path: pathlib.Path | str) -> None:
    """Draws the bits per character along a text.

    Args:
        curves: For each model, by its name, the means of the text's parts, in their order.
        path: The PNG to write.
    """
    figure, axes = _plot(6, 3.2)
    for name, values in curves.items():
        places = (np.arange(len(values)) + 0.5) * 100 / len(values)
        axes.plot(places, values, label=name, linewidth=1)
    axes.set(xlabel="place in the text, %", ylabel="bits per character")
    _legend(axes)
    _save(figure, path)


# Translations.


def attention_map(
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    alignment: Sequence[Sequence[float]],
    path: pathlib.Path | str,
) -> None:
    """Draws how much each token of a translation attended to each token of the text.

    Args:
        source_tokens: The text's tokens.
        target_tokens: The translation's tokens.
        alignment: The weights `(target tokens, source tokens)`.
        path: The PNG to write.
    """
    shape = (len(target_tokens), len(source_tokens))
    figure = Figure(figsize=(1.5 + 0.3 * shape[1], 1.5 + 0.3 * shape[0]))
    axes = figure.subplots()
    axes.imshow(np.reshape(alignment, shape), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(shape[1]), source_tokens, rotation=90)
    axes.set_yticks(range(shape[0]), target_tokens)
    axes.set(xlabel="text", ylabel="translation")
    _save(figure, path)


def bleu_by_length(groups: Sequence[dict[str, float]], path: pathlib.Path | str) -> None:
    """Draws BLEU over the length of the texts.

    Args:
        groups: For each group of texts `up_to` (words), `count` and `bleu`.
        path: The PNG to write.
    """
    figure, axes = _plot(5, 3.2)
    bars = axes.bar([str(group["up_to"]) for group in groups], [group["bleu"] for group in groups])
    axes.bar_label(bars, [f"{group['count']:,}" for group in groups], fontsize=8)
    axes.set(xlabel="words of the text, at most (on the bars: texts)", ylabel="BLEU")
    _save(figure, path)
