"""The metrics of forecasts, gathered batch by batch: sums are kept, forecasts are not."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_MANY = 20  # series, of which each is drawn as a whole
_FAR = 100  # times the error of a baseline that repeats a series to the digit
_STILL = 0.05  # of what a series moves, less than which is no forecast of its moves


class Scores:
    """The field's measures of forecasts, over all windows, by horizon, by target and by series.

    A missing true value counts nothing, and for MASE and RMSSE neither does one without a scale.

    Args:
        levels: The quantiles' levels.
        spread: For each series the targets' standard deviation in training, `(series, targets)`.
        naive: For each series what the seasonal naive forecast is off there on average; NaN where
            that is no scale of MASE.
        steps: For each series the root of the mean squared change from step to step there, or NaN;
            the scale of RMSSE, which is left out without it.
    """

    def __init__(
        self,
        levels: Sequence[float],
        spread: np.ndarray,
        naive: np.ndarray,
        steps: np.ndarray | None = None,
    ):
        self.levels = tuple(levels)
        self.spread, self.naive, self.steps = spread, naive, steps
        self._sums: dict[str, np.ndarray] = {}
        # Of each series: values known, their errors; values with a scale, their errors in it; and
        # the same of squares.
        self._by_series = np.zeros((6, len(naive)))
        self._by_window: list[tuple[np.ndarray, ...]] = []

    def update(
        self,
        truth: np.ndarray,
        series: np.ndarray,
        point: np.ndarray,
        quantiles: np.ndarray | None = None,
    ) -> None:
        """Adds windows.

        Args:
            truth: `(windows, horizon, targets)`, NaN where missing.
            series: The series of each window, `(windows,)`.
            point: Forecasts of that shape.
            quantiles: `(windows, horizon, targets, levels)`, if there are any.
        """
        known = np.isfinite(truth)
        truth = np.where(known, truth, 0.0).astype(float)
        error = truth - point
        scaled = error / self.spread[series][:, None]
        size = np.abs(truth) + np.abs(point)
        self._add("count", known, known)
        self._add("mae", np.abs(error), known)
        self._add("mse", error**2, known)
        self._add("scaled_mae", np.abs(scaled), known)
        self._add("scaled_mse", scaled**2, known)
        relative = np.abs(error) / self.naive[series][:, None]
        has_scale = known & np.isfinite(relative)
        self._add("scaled", has_scale, known)
        self._add("mase", relative, has_scale)
        steps = np.ones_like(self.naive) if self.steps is None else self.steps
        squares = (error / steps[series][:, None]) ** 2
        has_step = known & np.isfinite(squares)
        pairs = (known, np.abs(error)), (has_scale, relative), (has_step, squares)
        each = [np.where(mask, one, 0).sum((1, 2)) for mask, values in pairs for one in (1, values)]
        np.add.at(self._by_series, (slice(None), series), each)  # (6, windows) each
        if len(self.naive) < _MANY:  # else each series is compared as a whole
            self._by_window.append((series, each[3], each[5]))
        self._add("smape", 200 * np.abs(error) / np.where(size > 0, size, 1), known)
        self._add("size", np.abs(truth), known)
        if quantiles is None:
            return
        errors = truth[..., None] - quantiles
        levels = np.array(self.levels)
        pinball = np.maximum(levels * errors, (levels - 1) * errors).mean(-1)
        self._add("pinball", 2 * pinball, known)
        for pair, level in enumerate(self.levels[: len(self.levels) // 2]):
            low, high = quantiles[..., pair], quantiles[..., -1 - pair]
            share = f"{100 * (1 - 2 * level):g}"
            self._add(f"coverage_{share}", (low <= truth) & (truth <= high), known)
            self._add(f"width_{share}", high - low, known)

    def _add(self, name: str, values: np.ndarray, known: np.ndarray) -> None:
        total = np.where(known, values, 0).sum(0, dtype=float)  # (horizon, targets)
        self._sums[name] = self._sums.get(name, 0) + total

    def summary(self, targets: Sequence[str]) -> dict[str, Any]:
        """The measures.

        Args:
            targets: The targets' names.

        Returns:
            `mae`, `rmse`, `mse`; `scaled_mae` and `scaled_mse`, of values divided by their standard
            deviation in training; `mase` and `rmsse` (the mean over series), where anything has a
            scale; `smape` (percent), `weighted_quantile_loss`, and `coverage_80`, `width_80` and
            the like for each interval; `by_horizon` with a list of each, and `by_target` with such
            a dictionary for each target where there are several.
        """
        found: dict[str, Any] = self._means(lambda sums: sums.sum())
        each = self.by_series()["rmsse"]
        if self.steps is not None and np.isfinite(each).any():
            found["rmsse"] = np.nanmean(each)
        by_horizon = self._means(lambda sums: sums.sum(1))
        found["by_horizon"] = {k: np.nan_to_num(v).tolist() for k, v in by_horizon.items()}
        if len(targets) > 1:
            by_target = self._means(lambda sums: sums.sum(0))
            found["by_target"] = {
                target: {k: float(v[i]) for k, v in by_target.items() if np.isfinite(v[i])}
                for i, target in enumerate(targets)
            }
        return {k: v if isinstance(v, dict) else float(v) for k, v in found.items()}

    def by_series(self) -> dict[str, np.ndarray]:
        """`mae`, `mase`, `rmsse` of each series, `(series,)`; NaN of one that had no window."""
        counts = np.where(self._by_series[::2] > 0, self._by_series[::2], np.nan)
        mae, mase, mean_square = self._by_series[1::2] / counts
        return {"mae": mae, "mase": mase, "rmsse": np.sqrt(mean_square)}

    def by_unit(self, block: int) -> dict[str, np.ndarray]:
        """The sums of `MASE`'s errors and of `RMSSE`'s squares of what shares no luck.

        Windows that overlap, or follow each other, do: a unit is a stretch of windows, or a whole
        series where there are many.

        Args:
            block: Windows of a stretch.

        Returns:
            Both of each unit, `(units,)`.
        """
        if len(self.naive) >= _MANY:
            sums = self._by_series[[3, 5]][:, self._by_series[0] > 0]
            return dict(zip(("MASE", "RMSSE"), sums, strict=True))
        series, *errors = map(np.concatenate, zip(*self._by_window, strict=True))
        order = np.argsort(series, kind="stable")  # a backtest that trains anew goes by origins
        series = series[order]
        place = np.arange(len(series)) - np.searchsorted(series, series)  # within its series
        _, units = np.unique(series * len(series) + place // block, return_inverse=True)
        sums = (np.bincount(units, values[order]) for values in errors)
        return dict(zip(("MASE", "RMSSE"), sums, strict=True))

    def _means(self, reduce) -> dict[str, Any]:
        sums = {name: reduce(value) for name, value in self._sums.items()}
        count, size = np.maximum(1, sums.pop("count")), sums.pop("size")
        pinball, scaled = sums.pop("pinball", None), sums.pop("scaled")
        means = {name: value / count for name, value in sums.items()}
        if np.any(scaled):
            means["mase"] = sums["mase"] / np.where(scaled > 0, scaled, np.nan)
        else:
            del means["mase"]
        means = {"mae": means.pop("mae"), "rmse": np.sqrt(means["mse"]), **means}
        if pinball is not None:
            means["weighted_quantile_loss"] = pinball / np.where(size > 0, size, 1)
        return means


def series_apart(
    names: Sequence[str], scores: Scores, baselines: Sequence[Scores]
) -> dict[str, dict[str, float]]:
    """How good the forecasts of each series are, the worst one first.

    Args:
        names: The series' names.
        scores: The model's.
        baselines: Those of each baseline.

    Returns:
        For each series that had windows `mae`; `mase`, where it has a scale; and
        `best_baseline_mae`, of the baseline that is the best one there.
    """
    found = {name: scores.by_series()[name] for name in ("mae", "mase")}
    if baselines:
        found["best_baseline_mae"] = np.min([one.by_series()["mae"] for one in baselines], axis=0)
    worst = np.argsort(-found["mase"], kind="stable")  # NaN comes last
    return {
        names[i]: {k: float(values[i]) for k, values in found.items() if np.isfinite(values[i])}
        for i in worst
        if np.isfinite(found["mae"][i])
    }


def without_scale(naive: np.ndarray) -> str | None:
    """A sentence where MASE leaves series out.

    Args:
        naive: The scales, `(series, targets)`, NaN where there is none.
    """
    lacking = np.isnan(naive).sum()
    if not lacking:
        return None
    return (
        f"MASE leaves out {lacking:,} of {naive.size:,} series, whose scale, the error of the "
        "seasonal naive forecast in training, is 0 or unknown."
    )


def skill(
    scores: Scores,
    baselines: Mapping[str, Scores],
    block: int,
    measure: str = "MASE",
    draws: int = 1000,
) -> dict[str, Any]:
    """How much smaller the scaled error is than the best baseline's, and how sure that is.

    What is drawn again and again is a unit of `Scores.by_unit`.

    Args:
        scores: The model's.
        baselines: Those of each baseline, of the same windows.
        block: Windows of a stretch.
        measure: `"MASE"`, or `"RMSSE"` for its squares, of forecasts that minimize those.
        draws: Bootstrap samples.

    Returns:
        `against`, the best baseline; `skill`, the share of its error that is saved; `low` and
        `high`, between which that lies in 95 % of the samples; and `measure`.
    """
    errors = {name: one.by_unit(block)[measure] for name, one in baselines.items()}
    best = min(errors, key=lambda name: errors[name].sum())
    pairs = np.stack([scores.by_unit(block)[measure], errors[best]])  # (2, units)
    rng, count = np.random.default_rng(0), pairs.shape[1]
    shares = np.full(count, 1 / count)
    drawn = (pairs @ rng.multinomial(count, shares) for _ in range(draws))
    saved = [1 - ours / max(theirs, 1e-12) for ours, theirs in (pairs.sum(1), *drawn)]
    low, high = np.quantile(saved[1:], (0.025, 0.975))
    bounds = {"low": float(low), "high": float(high)}
    return {"against": best, "skill": float(saved[0]), **bounds, "measure": measure}


def said_of_skill(found: Mapping[str, Any]) -> str:
    """What `skill` found, in a sentence."""
    if found["skill"] < -_FAR:
        return f"The best baseline, {found['against']}, has almost no error: nothing can be gained."
    less = "less" if found["skill"] >= 0 else "more"
    error = {"MASE": "error (MASE)", "RMSSE": "squared error (of RMSSE)"}[found["measure"]]
    return (
        f"{abs(found['skill']):.1%} {less} {error} than the best baseline, "
        f"{found['against']}; the saving's 95 % interval is {found['low']:.1%} to "
        f"{found['high']:.1%}."
    )


def repeats_last(moved: float, true: float) -> str | None:
    """A sentence where the forecast is, near enough, the last value repeated.

    Args:
        moved: How far forecasts are from the last value, on average.
        true: How far what came true is from it.
    """
    if moved >= _STILL * true:
        return None
    return (
        f"The forecast is the last value repeated: it moves by {moved / true:.1%} of what the "
        "series moves. Nothing more was learned; try a longer --lookback, covariates, or more data."
    )


def collapsed(
    quantiles: np.ndarray, spread: np.ndarray, lower: Sequence[float | None]
) -> np.ndarray:
    """Where intervals have next to no width: the network saw nothing like these inputs.

    Args:
        quantiles: `(windows, horizon, targets, levels)`.
        spread: The targets' standard deviation in training, `(targets,)`.
        lower: For each target what no forecast goes below; see `Task`.

    Returns:
        True at such steps, `(windows, horizon, targets)`; not where all lies at a lower bound.
    """
    low, high = quantiles[..., 0], quantiles[..., -1]
    bounds = np.array([-np.inf if one is None else one for one in lower or [None]])
    several = quantiles.shape[-1] > 1
    return several & (high - low < 1e-3 * spread) & (high > bounds)
