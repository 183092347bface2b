"""Evaluates a pooled ridge alone on weekly and hourly series, for the defaults for many series.

    python benchmarks/population.py --data-dir DIR
    python benchmarks/population.py --hours FILE

DIR holds M4's `Weekly-train.csv.gz`, evaluated on its last 13 weeks: the test file is not read.
FILE is a table with the columns series, step, value, evaluated on its last 48 hours.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from common import show_machine
from forecasting import wide

from rnnapps.apps.forecasting.naive2 import Naive2, overall_weighted_average
from rnnapps.apps.forecasting.seasons import find_season

LATEST = 400  # maximum number of (latest) windows per series to fit


def measures(forecast: np.ndarray, truth: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    off = np.abs(forecast - truth)
    size = np.abs(forecast) + np.abs(truth)
    return {"smape": 200 * np.mean(off / size), "mase": np.mean(off / errors)}


def ridge(
    known: list[np.ndarray],
    horizon: int,
    lookback: int,
    log: bool = True,
    scale: str = "moves",
    least: int | None = None,
    strength: float = 1e-4,
    latest: int | None = LATEST,
) -> np.ndarray:
    """Forecasts of one linear map for all series; short ones are padded with their first value.

    Args:
        known: The values of each series.
        horizon: Steps to forecast.
        lookback: Look-back of the map, in steps.
        log: Whether to model logarithms.
        scale: The scaling of a series.
        least: Minimum known steps of a window to fit; by default a horizon.
        strength: Strength of the ridge penalty.
        latest: Maximum number of (latest) windows per series to fit; `None` for all.
    """
    least = least or horizon
    learned = [np.log1p(one) if log else one for one in known]
    filled = [np.concatenate([np.full(lookback, one[0]), one]) for one in learned]
    sizes = [
        {"one": 1.0, "deviation": one.std(),
         "moves": np.abs(one[horizon:] - one[:-horizon]).mean()}[scale]
        for one in learned
    ]  # fmt: skip
    products, outputs = np.zeros((lookback, lookback)), np.zeros((lookback, horizon))
    for one, size in zip(filled, sizes, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(one, lookback + horizon)
        rows = windows[least:][-(latest or len(windows)) :] / size
        rows = rows - rows[:, lookback - 1 : lookback]
        products += rows[:, :lookback].T @ rows[:, :lookback]
        outputs += rows[:, :lookback].T @ rows[:, lookback:]
    shrunk = strength * np.trace(products) / lookback
    found = np.linalg.solve(products + shrunk * np.eye(lookback), outputs)
    last = np.array([one[-lookback:] for one in filled])
    size, level = np.array(sizes)[:, None], last[:, -1:]
    forecast = level + (last - level) / size @ found * size
    return np.expm1(forecast) if log else forecast


def weekly(data_dir: Path) -> None:
    values = [np.array(one, float) for one in wide(data_dir, "Weekly-train").values()]
    known, truth = [one[:-13] for one in values], np.array([one[-13:] for one in values])
    errors = Naive2([one[:, None] for one in known], 1).errors
    naive2 = measures(np.array([[one[-1]] for one in known]), truth, errors)
    print(f"{'look-back':>10}{'log':>6}  {'scale':12}{'sMAPE':>8}{'MASE':>8}{'OWA':>8}")
    kinds = [(False, "deviation"), (True, "one"), (True, "deviation"), (True, "moves")]
    for lookback in (24, 104, 208, 312):
        for log, scale in kinds if lookback == 312 else kinds[-1:]:
            found = measures(ridge(known, 13, lookback, log, scale), truth, errors)
            print(f"{lookback:10}{log!s:>6}  {scale:12}{numbers(found, naive2)}")


def hours(path: Path) -> None:
    table = pd.read_csv(path)
    values = [one["value"].to_numpy(float) for _, one in table.groupby("series", sort=False)]
    known, truth = [one[:-48] for one in values], np.array([one[-48:] for one in values])
    print(f"{len(known)} series, of a season of {find_season(known)} steps")
    competition = Naive2([one[:, None] for one in known], 24)
    last, count = (np.array([f(one) for one in known]) for f in (lambda one: one[-1:], len))
    forecast = competition.forecast(last, np.arange(len(known)), count, 48)[..., 0]
    errors = competition.errors
    naive2 = measures(forecast, truth, errors)
    print(f"{'':10}{'least':>8}{'sMAPE':>8}{'MASE':>8}{'OWA':>8}")
    for cycle in (24, 168):
        repeated = np.array([one[len(one) - cycle + np.arange(48) % cycle] for one in known])
        print(f"{cycle:4} before{'':7}{numbers(measures(repeated, truth, errors), naive2)}")
    for lookback, least in ((168, 48), (336, 48), (336, 300), (432, 48), (504, 48), (504, 300)):
        made = ridge(known, 48, lookback, least=least, strength=1e-3, latest=None)
        found = measures(made, truth, errors)
        print(f"{lookback:10}{least:8}{numbers(found, naive2)}")


def numbers(found: dict[str, float], naive2: dict[str, float]) -> str:
    owa = overall_weighted_average(found, naive2)
    return "".join(f"{one:8.3f}" for one in (found["smape"], found["mase"], owa))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--hours", type=Path)
    arguments = parser.parse_args()
    show_machine()
    if arguments.data_dir:
        weekly(arguments.data_dir)
    if arguments.hours:
        hours(arguments.hours)


if __name__ == "__main__":
    main()
