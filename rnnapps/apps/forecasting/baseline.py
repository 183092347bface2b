"""Baselines: last value, seasonal naive, drift, ridge regression."""

from collections.abc import Callable

import numpy as np

from rnnapps.apps.forecasting.data import Parts
from rnnapps.apps.forecasting.networks import fill_missing
from rnnapps.apps.forecasting.scaling import known_mean, mean_and_deviation
from rnnapps.data import NOISE, Windows, WindowShape, make_load
from rnnapps.progress import tracked, working

Forecast = Callable[[np.ndarray], np.ndarray]
_STRENGTHS = 10.0 ** np.arange(-1, 6)  # of the ridge, tried on the validation part


MOST_PAIRS = 300_000  # of look-backs and horizons, about, that a ridge is fitted on
# What no forecaster of the sample can be better than.
NOISE_ALONE = {"mae": NOISE * np.sqrt(2 / np.pi), "rmse": NOISE, "mse": NOISE**2}


def is_sample(parts: Parts) -> bool:
    """Whether the series is the embedded sample, or its end."""
    load, ours = make_load()["load"].to_numpy(), parts.values[0][:, 0]
    return np.array_equal(ours, load[-len(ours) :], equal_nan=True)


def training_measures(parts: Parts) -> tuple[np.ndarray, ...]:
    """Mean, deviation, the seasonal naive error and the size of a step, of training.

    The deviation of a constant is 1, so that values can be divided by it; its error and its steps
    are no scale, and NaN.

    Args:
        parts: The series.

    Returns:
        Each of them `(series, targets)`.
    """
    season, targets, rows = parts.task.season, parts.task.targets, []
    for part in parts.training:
        part = part[:, :targets]
        center, spread = mean_and_deviation(part)
        naive = known_mean(np.abs(part[season:] - part[:-season]))
        step = np.sqrt(known_mean(np.diff(part, axis=0) ** 2))
        step = np.where(step > 0, step, spread)  # where no two steps in a row are known
        scales = (np.where(size > 0, size, np.nan) for size in (naive, step))
        rows.append((center, np.where(spread > 0, spread, 1), *scales))
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def prepare_baselines(parts: Parts, center: np.ndarray, spread: np.ndarray) -> dict[str, Forecast]:
    """The baselines of a data set.

    Args:
        parts: The series.
        center: Their means in training, `(series, targets)`.
        spread: Their standard deviations there.

    Returns:
        What `baselines` returns, for standardized values.
    """
    task = parts.task
    standard = [
        ((one[:, : task.targets] - c) / s).astype(np.float32)
        for one, c, s in zip(parts.values, center, spread, strict=True)
    ]
    alone = WindowShape(task.lookback, task.horizon, task.targets, least=task.least)
    count = sum(last - first for first, last in parts.spans("train"))
    train, validation = (
        Windows(standard, parts.spans(part), alone, batch_size=256, stride=stride)
        for part, stride in (("train", -(-count * task.targets // MOST_PAIRS)), ("validation", 1))
    )
    with working("fitting the baselines"):
        return baselines(train, validation, task.season)


def baselines(train: Windows, validation: Windows, season: int) -> dict[str, Forecast]:
    """Prepares the baselines.

    Args:
        train: Windows of standardized values to fit the linear map on.
        validation: Windows that choose its strength.
        season: Steps of a season.

    Returns:
        For each baseline, by its name, a function from histories `(windows, lookback, targets)`
        without missing values to forecasts `(windows, horizon, targets)`.
    """
    horizon, lookback = train.horizon, train.lookback
    ahead = np.arange(1, horizon + 1)
    found: dict[str, Forecast] = {
        "last value": lambda history: np.repeat(history[:, -1:], horizon, axis=1),
    }
    if 1 < season <= lookback:
        found["seasonal naive"] = lambda history: history[
            :, lookback - season + (ahead - 1) % season
        ]
    if lookback > 1:
        found["drift"] = lambda history: (
            history[:, -1:] + ahead[:, None] * (history[:, -1:] - history[:, :1]) / (lookback - 1)
        )
    ridge = ridge_map(train, validation)
    if ridge is not None:

        def linear(history: np.ndarray) -> np.ndarray:
            last = history[:, -1:]
            rows = np.moveaxis(history - last, 1, 2) @ ridge  # (windows, targets, horizon)
            return np.moveaxis(rows, 2, 1) + last

        found["ridge"] = linear
    return found


def ridge_map(train: Windows, validation: Windows) -> np.ndarray | None:
    """Fits one linear map from look-back to horizon for all targets, on what the last value leaves.

    Args:
        train: Windows of standardized values.
        validation: Windows that choose how much the map is shrunk.

    Returns:
        The map `(lookback, horizon)`; `None` where no window is whole.

    Reference:
        - [Zeng et al., 2023](https://arxiv.org/abs/2205.13504): the NLinear variant.
    """
    size = train.lookback
    products, outputs = np.zeros((size, size)), np.zeros((size, train.horizon))
    for x, y in _pairs(train):
        products += x.T @ x
        outputs += x.T @ y
    if not outputs.any():
        return None
    values, vectors = np.linalg.eigh(products)
    outputs = vectors.T @ outputs
    maps = [vectors @ (outputs / (np.maximum(values, 0) + s)[:, None]) for s in _STRENGTHS]
    errors = np.zeros(len(maps))
    for x, y in _pairs(validation):
        errors += [np.abs(y - x @ one).sum() for one in maps]
    return maps[int(errors.argmin())]


def _pairs(windows: Windows):
    """Histories and what followed, `(rows, steps)` each, of the windows that are whole."""
    for inputs, truth, weights in tracked(windows.one_pass(), "batches", len(windows)):
        history = inputs["history"][..., : windows.targets]
        history = fill_missing(history, windows.padded)[0].numpy()
        last = history[:, -1:]
        x = np.moveaxis(history - last, 1, 2).reshape(-1, windows.lookback)
        y = np.moveaxis(truth.numpy() - last, 1, 2).reshape(-1, windows.horizon)
        keep = np.repeat(weights.numpy() > 0, windows.targets) & np.isfinite(y).all(1)
        yield x[keep], y[keep]
