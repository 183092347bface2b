"""What the defaults for many series are worth: a pooled ridge alone, on M4's weekly series.

    python benchmarks/population.py --data-dir DIR

DIR holds the competition's `Weekly-train.csv.gz`, whose last 13 weeks measure: its test file is not
read.
"""

import argparse
from pathlib import Path

import numpy as np
from common import show_machine
from forecasting import wide

from rnnapps.apps.forecasting.naive2 import Naive2, overall_weighted_average

HORIZON, LATEST = 13, 400  # of a series' windows that are fitted, the latest ones


def measures(forecast: np.ndarray, truth: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    off = np.abs(forecast - truth)
    size = np.abs(forecast) + np.abs(truth)
    return {"smape": 200 * np.mean(off / size), "mase": np.mean(off / errors)}


def ridge(known: list[np.ndarray], lookback: int, log: bool, scale: str) -> np.ndarray:
    """Forecasts of one linear map for all series; what short ones lack is their first value."""
    learned = [np.log1p(one) if log else one for one in known]
    filled = [np.concatenate([np.full(lookback, one[0]), one]) for one in learned]
    sizes = [
        {"one": 1.0, "deviation": one.std(),
         "moves": np.abs(one[HORIZON:] - one[:-HORIZON]).mean()}[scale]
        for one in learned
    ]  # fmt: skip
    products, outputs = np.zeros((lookback, lookback)), np.zeros((lookback, HORIZON))
    for one, size in zip(filled, sizes, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(one, lookback + HORIZON)
        rows = windows[HORIZON:][-LATEST:] / size
        rows = rows - rows[:, lookback - 1 : lookback]
        products += rows[:, :lookback].T @ rows[:, :lookback]
        outputs += rows[:, :lookback].T @ rows[:, lookback:]
    strength = 1e-4 * np.trace(products) / lookback
    found = np.linalg.solve(products + strength * np.eye(lookback), outputs)
    last = np.array([one[-lookback:] for one in filled])
    size, level = np.array(sizes)[:, None], last[:, -1:]
    forecast = level + (last - level) / size @ found * size
    return np.expm1(forecast) if log else forecast


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    show_machine()
    series = wide(parser.parse_args().data_dir, "Weekly-train").values()
    values = [np.array(one, float) for one in series]
    known, truth = [one[:-HORIZON] for one in values], np.array([one[-HORIZON:] for one in values])
    errors = Naive2([one[:, None] for one in known], 1).errors
    naive2 = measures(np.array([[one[-1]] for one in known]), truth, errors)
    print(f"{'look-back':>10}{'log':>6}  {'scale':12}{'sMAPE':>8}{'MASE':>8}{'OWA':>8}")
    kinds = [(False, "deviation"), (True, "one"), (True, "deviation"), (True, "moves")]
    for lookback in (24, 104, 208, 312):
        for log, scale in kinds if lookback == 312 else kinds[-1:]:
            found = measures(ridge(known, lookback, log, scale), truth, errors)
            owa = overall_weighted_average(found, naive2)
            numbers = "".join(f"{one:8.3f}" for one in (found["smape"], found["mase"], owa))
            print(f"{lookback:10}{log!s:>6}  {scale:12}{numbers}")


if __name__ == "__main__":
    main()
