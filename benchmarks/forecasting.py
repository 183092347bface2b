"""Evaluates the forecaster on ETTh1, airline passengers, Beijing's air and M4's weekly series.

    python benchmarks/forecasting.py --data-dir DIR [--runs RUNS] [etth1-96 passengers ...]

DIR holds `ETTh1.csv` (or the prepared tensorflow_datasets), `airline-passengers.csv`,
`pollution.csv`, and the M4 competition's `Weekly-train.csv.gz` and `Weekly-test.csv.gz`, in any of
its folders. With --runs the trained runs are kept in a folder, and existing ones are not trained
again.
"""

import argparse
import csv
import dataclasses
import functools
import gzip
import json
import resource
import tempfile
import time
from pathlib import Path

from common import measured, options_of, record, rnnapps, show, show_machine, verdict

SEEDS = (0, 1, 2)  # ETTh1's rows are means over these

# Settings chosen on the validation set, and bars for test MSE and MAE of standardized values.
ETT = {
    96: ([], 0.353, 0.386),
    192: ([], 0.393, 0.412),
    336: ([], 0.421, 0.432),
    720: (["--linear", "--epochs", "5"], 0.425, 0.470),
}
WEATHER = ["DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"]
PASSENGERS = [
    "--horizon", "12", "--log", "--test-start", "1958-01", "--lookback", "24", "--segment", "12",
    "--units", "32", "--linear", "--epochs", "8", "--ensemble", "5",
]  # fmt: skip
AIR = [
    "--time-column", "year", "month", "day", "hour", "--target", "pm2.5",
    "--past-covariates", *WEATHER, "--horizon", "24", "--lookback", "72", "--segment", "6",
    "--normalization", "none", "--log", "--calendar", "hour", "yearday", "--units", "128",
    "--linear", "--epochs", "5",
]  # fmt: skip
# Alarms need one-step forecasts, for which a short look-back and horizon are as good.
DETECT = ["--lookback", "168", "--segment", "24", "--units", "64", "--epochs", "2"]
KINDS = ("spikes", "shifts")


def run(
    runs: Path, table: str, measures: list[str], flags: list[str], *evaluate: str, seeds=(0,)
) -> tuple[dict, dict]:
    """Trains and evaluates with each seed, and records a table of mean metrics.

    Returns:
        The training seconds, and the rows by name: rnnapps' own, and each baseline's.
    """
    print(f"\nrnnapps train forecasting {' '.join(flags)}")
    seconds, found = [], []
    for seed in seeds:
        folder = runs / f"{table}-{seed}"
        if not folder.exists():
            rnnapps("train", "forecasting", *flags, "--seed", seed, "--run-dir", folder)
        seconds.append(json.loads((folder / "run.json").read_text("utf-8"))["seconds"])
        found.append(measured(rnnapps("evaluate", folder, *evaluate)))
        if len(seeds) > 1:
            show(f"seed {seed}", found[-1], measures)
    rows = {
        name: {m: sum(one[name][m] for one in found) / len(found) for m in measures if m in row}
        for name, row in found[0].items()
    }
    print(f"training {seconds} s, rnnapps evaluate {' '.join(evaluate)}")
    show("test", rows, measures)
    record(f"forecasting-{table}", rows, measures)
    return max(seconds), rows


def etth1(horizon: int, data_dir: Path, runs: Path) -> None:
    flags, mse, mae = ETT[horizon]
    base = ["--data", "ett_h1", "--data-dir", str(ett_dir(data_dir)), "--horizon", str(horizon)]
    measures = ["scaled_mse", "scaled_mae", "mase", "coverage_80"]
    flags = [*base, *flags]
    seconds, rows = run(runs, f"etth1-{horizon}", measures, flags, seeds=SEEDS)
    verdict(f"MSE at {horizon}", rows["rnnapps"]["scaled_mse"], mse)
    verdict(f"MAE at {horizon}", rows["rnnapps"]["scaled_mae"], mae)
    if horizon == 96:
        verdict("minutes of training", seconds / 60, 10)


def coverage(data_dir: Path, runs: Path) -> None:
    base = ["--data", "ett_h1", "--data-dir", str(ett_dir(data_dir)), "--target", "OT"]
    flags = [*base, "--horizon", "24", "--units", "64", "--epochs", "4"]
    measures = ["mae", "coverage_95", "coverage_80", "coverage_50"]
    _, rows = run(runs, "coverage", measures, flags, "--backtest", "--stride", "1")
    verdict("coverage of the 80 % interval", rows["rnnapps"]["coverage_80"], 0.84, 0.76)


def passengers(data_dir: Path, runs: Path) -> None:
    path = next(data_dir.rglob("airline-passengers.csv"))
    flags = ["--data", str(path), *PASSENGERS]
    measures = ["mae", "mase", "smape"]
    _, rows = run(runs, "passengers", measures, flags, "--backtest", "--stride", "1")
    verdict("MASE", rows["rnnapps"]["mase"], min(0.7, rows["seasonal naive"]["mase"]))


def air(data_dir: Path, runs: Path) -> None:
    path = next(data_dir.rglob("pollution.csv"))
    measures = ["mae", "rmse", "mase", "weighted_quantile_loss", "coverage_80"]
    _, rows = run(runs, "air", measures, ["--data", str(path), *AIR])
    verdict("MAE", rows["rnnapps"]["mae"], 42.5)


def m4_weekly(data_dir: Path, runs: Path) -> None:
    """The 359 weekly series of M4 with the defaults; the test set is the last 13 weeks."""
    runs.mkdir(parents=True, exist_ok=True)
    path = runs / "weekly.csv"
    with path.open("w") as file:
        file.write("series,step,value\n")
        for name, values in wide(data_dir, "Weekly-train", "Weekly-test").items():
            file.writelines(f"{name},{step},{value}\n" for step, value in enumerate(values))
    flags = ["--data", str(path), "--series-column", "series", "--time-column", "step"]
    flags += ["--target", "value", "--horizon", "13"]
    seconds, rows = run(runs, "m4-weekly", ["owa", "smape", "mase", "coverage_80"], flags)
    verdict("OWA", rows["rnnapps"]["owa"], 0.87)
    verdict("minutes of training", seconds / 60, 30)


def intermittent(data_dir: Path, runs: Path) -> None:
    """Generated intermittent demand: the mean, which is the default there, and the median."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    days = pd.date_range("2023-01-01", periods=600)
    week = np.array([0.6, 0.7, 0.8, 1.0, 1.5, 1.9, 0.5])[days.day_of_week]
    table = pd.DataFrame(
        [
            (f"part {part}", day, count)
            for part, rate in enumerate(rng.lognormal(-1.2, 0.4, 50))
            for day, count in zip(days, rng.poisson(rate * week), strict=True)
        ],
        columns=["part", "day", "sold"],
    )
    runs.mkdir(parents=True, exist_ok=True)
    table.to_csv(path := runs / "intermittent.csv", index=False)
    flags = ["--data", str(path), "--series-column", "part", "--target", "sold", "--horizon", "14"]
    flags += ["--units", "64", "--epochs", "5"]
    measures = ["rmsse", "mase", "mae"]
    run(runs, "intermittent", measures, flags)
    run(runs, "intermittent-mae", measures, [*flags, "--loss", "mae"])


def many(data_dir: Path, runs: Path) -> None:
    """An epoch of 5,000 series of 500 steps, and of a single series of the same size."""
    import numpy as np

    rng, rows = np.random.default_rng(0), {}
    flags = ["--series-column", "series", "--time-column", "step", "--target", "value"]
    flags += ["--horizon", "14", "--season", "7", "--lookback", "224", "--segment", "7"]
    flags += ["--units", "32", "--epochs", "3", "--patience", "0", "--no-combine"]
    runs.mkdir(parents=True, exist_ok=True)
    for series, steps in ((5000, 500), (1, 2_500_000)):
        values = (
            50 + rng.normal(size=(series, steps)).cumsum(1) + 3 * np.sin(np.arange(steps) * 0.9)
        )
        path = runs / f"{series}-series.csv"
        with path.open("w") as file:
            file.write("series,step,value\n")
            for name, one in enumerate(values):
                file.writelines(f"{name},{step},{value:.2f}\n" for step, value in enumerate(one))
        if not (folder := runs / f"{series}-series").exists():
            rnnapps("train", "forecasting", "--data", path, *flags, "--run-dir", folder)
        seconds = json.loads((folder / "run.json").read_text("utf-8"))["epoch_seconds"]
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
        rows[f"{series} x {steps}"] = {"seconds of an epoch": min(seconds[1:]), "GB so far": most}
    show("training", rows, ["seconds of an epoch", "GB so far"])
    record("forecasting-many", rows)
    several, one = rows.values()
    ratio = several["seconds of an epoch"] / one["seconds of an epoch"]
    verdict("5,000 series : one", ratio, 1.5)
    verdict("GB of 5,000 series", several["GB so far"], 2)


def wide(data_dir: Path, *names: str) -> dict[str, list[str]]:
    """The values of each series, concatenated over files with one row per series."""
    found: dict[str, list[str]] = {}
    for name in names:
        with gzip.open(next(data_dir.rglob(f"{name}.csv.gz")), "rt") as file:
            for series, *cells in list(csv.reader(file))[1:]:
                found.setdefault(series, []).extend(c for c in cells if c not in ("", "NA"))
    return found


def detect(data_dir: Path, runs: Path) -> None:
    """Detection of faults injected into ETTh1's test set, at one false alarm per 1,000 steps."""
    import numpy as np

    import rnnapps as package
    from rnnapps.apps.forecasting import detect as detecting
    from rnnapps.apps.forecasting.data import load_series
    from rnnapps.apps.forecasting.division import divide
    from rnnapps.probabilistic import raised

    flags = ["--data", "ett_h1", "--data-dir", str(ett_dir(data_dir)), *DETECT]
    if not (folder := runs / "detect").exists():
        rnnapps("train", "forecasting", *flags, "--run-dir", folder)
    app = package.load(folder)
    parts = divide(load_series(app.config), app.config, app.task)
    targets, (train, first, last) = parts.task.columns.targets, parts.ends[0]
    detector = detecting.fit_detector(app.graph, parts)
    sigma, values = detector.alarms.scale, parts.values[0]

    def ours(values):
        series = dataclasses.replace(parts.data.series[0], values=values)
        data = dataclasses.replace(parts.data, series=[series])
        found = detecting.detect(app.graph, detector, data, [(first, last)], 1.0)
        return np.stack([found[found["target"] == name]["alarm"] for name in targets], axis=1)

    off = np.abs(
        values[24:] - values[:-24]
    )  # a z-score, its threshold from the validation part, too
    held = off[train - 24 : first - 24]
    limits = np.empty(len(targets))
    for number, one in enumerate(held.T):
        tried = np.sort(one)[-500:]
        counts = [raised(one[None, :, None], limit).numpy().sum() for limit in tried]
        limits[number] = tried[np.argmax(np.array(counts) <= len(one) / 1000)]

    def naive(values):
        off = np.abs(values[24:] - values[:-24])[first - 24 :]
        return raised(off[None], limits).numpy()[0]

    found = {name: {"spikes": [], "shifts": []} for name in ("rnnapps", "seasonal naive")}
    rng = np.random.default_rng(0)
    for copy in range(4):  # with 25 faults each, far apart
        faulty, faults = values.copy(), []
        for number, start in enumerate(np.linspace(first + 24, last - 96, 25).astype(int)):
            at, target = start + int(rng.integers(48)), int(rng.integers(len(targets)))
            size = sigma[target] * float(rng.choice([-1, 1]))
            if (number + copy) % 2:
                faulty[at, target] += 4 * size
                faults.append(("spikes", slice(at - first, at - first + 2), target))
            else:
                faulty[at : at + 24, target] += 2 * size
                faults.append(("shifts", slice(at - first, at - first + 24), target))
        for name, alarms in (("rnnapps", ours(faulty)), ("seasonal naive", naive(faulty))):
            for kind, steps, target in faults:
                found[name][kind].append((target, bool(alarms[steps, target].any())))
    rows = {}
    for name, alarms in (("rnnapps", ours(values)), ("seasonal naive", naive(values))):
        rows[name] = {kind: float(np.mean([hit for _, hit in found[name][kind]])) for kind in KINDS}
        rows[name]["false in 1,000"] = 1000 * float(alarms.mean())
        for number, target in enumerate(targets):
            hits = [[hit for one, hit in found[name][kind] if one == number] for kind in KINDS]
            print(f"{name:16}{target:6}", *(f"{sum(one)} of {len(one)}" for one in hits), sep="  ")
    show("test", rows, [*KINDS, "false in 1,000"])
    record("forecasting-detect", rows)
    for kind in KINDS:
        verdict(f"share of {kind} missed", 1 - rows["rnnapps"][kind], 0.2)


def memory(data_dir: Path, runs: Path) -> None:
    import numpy as np

    from rnnapps.data import Windows, WindowShape

    steps, lookback, horizon = 1_000_000, 720, 96
    values = np.zeros((steps + lookback + horizon - 1, 1), np.float32)
    shape = WindowShape(lookback, horizon, targets=1)
    small = Windows([values[:2000]], [(lookback, 1000)], shape)
    next(iter(small.epochs()))  # what TensorFlow needs once
    before, began = peak(), time.monotonic()
    windows = Windows([values], [(lookback, lookback + steps)], shape)
    for _ in windows.epochs().take(100):
        pass
    used = peak() - before
    print(
        f"\n{windows.count} windows of {lookback} + {horizon}: {used:.0f} MB more at the peak, "
        f"{time.monotonic() - began:.1f} s to the 100th batch; the series alone is "
        f"{values.nbytes / 1e6:.0f} MB, laid out {4e-6 * steps * (lookback + horizon):.0f} MB"
    )
    verdict("megabytes", used, 50)


def peak() -> float:
    """The peak memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ett_dir(data_dir: Path) -> Path:
    """A folder with ETTh1: `data_dir` if it is prepared there, else a temporary copy."""
    if (data_dir / "ett_h1").exists():
        return data_dir
    folder = Path(tempfile.gettempdir(), "rnnapps-ett")
    folder.mkdir(exist_ok=True)
    for path in data_dir.rglob("ETTh1.csv*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


ROWS = {
    **{f"etth1-{horizon}": functools.partial(etth1, horizon) for horizon in ETT},
    "coverage": coverage,
    "passengers": passengers,
    "air": air,
    "m4-weekly": m4_weekly,
    "intermittent": intermittent,
    "many": many,
    "detect": detect,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--runs", type=Path, help="a folder that keeps the runs")
    arguments = options_of(parser, ROWS)
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.row or ROWS:
            ROWS[name](arguments.data_dir, arguments.runs or Path(folder))


if __name__ == "__main__":
    main()
