"""Measures the forecaster on ETTh1, airline passengers, Beijing's air and M4's weekly series.

    python benchmarks/forecasting.py --data-dir DIR [etth1-96 passengers ...]

DIR holds `ETTh1.csv` (or the prepared tensorflow_datasets), `airline-passengers.csv`,
`pollution.csv`, and the M4 competition's `Weekly-train.csv.gz` and `Weekly-test.csv.gz`, in
whichever of its folders.
"""

import argparse
import csv
import dataclasses
import gzip
import resource
import tempfile
import time
from pathlib import Path

from common import measured, options_of, record, rnnapps, show, show_machine, verdict

# What was chosen on the validation part, and the bars on test MSE and MAE of standardised values.
ETT = {
    96: ([], 0.353, 0.386),
    192: ([], 0.393, 0.412),
    336: ([], 0.421, 0.432),
    720: (["--linear", "--epochs", "5"], 0.425, 0.470),
}
WEATHER = ["DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"]
PASSENGERS = [
    "--horizon", "12", "--log", "--test-start", "1958-01", "--lookback", "24", "--segment", "12",
    "--units", "32", "--linear", "--epochs", "8",
]  # fmt: skip
AIR = [
    "--time-column", "year", "month", "day", "hour", "--target", "pm2.5",
    "--past-covariates", *WEATHER, "--horizon", "24", "--lookback", "72", "--segment", "6",
    "--normalization", "none", "--log", "--calendar", "hour", "yearday", "--units", "128",
    "--linear", "--epochs", "5",
]  # fmt: skip
# For alarms one step ahead counts, and a short look-back and horizon are as good.
DETECT = ["--lookback", "168", "--segment", "24", "--units", "64", "--epochs", "2"]
KINDS = ("spikes", "shifts")


def run(table: str, measures: list[str], flags: list[str], *evaluate: str) -> tuple[dict, dict]:
    """Trains and evaluates, and keeps a table of these measures; what each command found."""
    print(f"\nrnnapps train forecasting {' '.join(flags)}")
    with tempfile.TemporaryDirectory() as folder:
        trained = rnnapps("train", "forecasting", *flags, "--run-dir", f"{folder}/run")
        found = rnnapps("evaluate", f"{folder}/run", *evaluate)
    print(f"training {trained['seconds']:.0f} s, rnnapps evaluate {' '.join(evaluate)}")
    show("test", measured(found), measures)
    record(f"forecasting-{table}", measured(found), measures)
    return trained, found


def etth1(horizon: int, data_dir: Path) -> None:
    flags, mse, mae = ETT[horizon]
    base = ["--data", "ett_h1", "--data-dir", str(ett_dir(data_dir)), "--horizon", str(horizon)]
    measures = ["scaled_mse", "scaled_mae", "mase", "coverage_80"]
    trained, found = run(f"etth1-{horizon}", measures, [*base, *flags])
    verdict(f"MSE at {horizon}", found["scaled_mse"], mse)
    verdict(f"MAE at {horizon}", found["scaled_mae"], mae)
    if horizon == 96:
        verdict("minutes of training", trained["seconds"] / 60, 10)


def coverage(data_dir: Path) -> None:
    base = ["--data", "ett_h1", "--data-dir", str(ett_dir(data_dir)), "--target", "OT"]
    flags = [*base, "--horizon", "24", "--units", "64", "--epochs", "4"]
    measures = ["mae", "coverage_95", "coverage_80", "coverage_50"]
    _, found = run("coverage", measures, flags, "--backtest", "--stride", "1")
    verdict("coverage of the 80 % interval", found["coverage_80"], 0.84, 0.76)


def passengers(data_dir: Path) -> None:
    path = next(data_dir.rglob("airline-passengers.csv"))
    flags = ["--data", str(path), *PASSENGERS]
    _, found = run("passengers", ["mae", "mase", "smape"], flags, "--backtest", "--stride", "1")
    naive = found["baselines"]["seasonal naive"]["mase"]
    verdict("MASE", found["mase"], min(0.7, naive))


def air(data_dir: Path) -> None:
    path = next(data_dir.rglob("pollution.csv"))
    measures = ["mae", "rmse", "mase", "weighted_quantile_loss", "coverage_80"]
    _, found = run("air", measures, ["--data", str(path), *AIR])
    verdict("MAE", found["mae"], 42.5)


def m4_weekly(data_dir: Path) -> None:
    """The 359 weekly series of M4 with the defaults; the last 13 weeks, the test part, measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weekly.csv")
        with path.open("w") as file:
            file.write("series,step,value\n")
            for name, values in wide(data_dir, "Weekly-train", "Weekly-test").items():
                file.writelines(f"{name},{step},{value}\n" for step, value in enumerate(values))
        flags = ["--data", str(path), "--series-column", "series", "--time-column", "step"]
        flags += ["--target", "value", "--horizon", "13"]
        trained, found = run("m4-weekly", ["owa", "smape", "mase", "coverage_80"], flags)
    verdict("OWA", found["owa"], 0.87)
    verdict("minutes of training", trained["seconds"] / 60, 30)


def wide(data_dir: Path, *names: str) -> dict[str, list[str]]:
    """The values of each series of files that have a row for each, one behind the other."""
    found: dict[str, list[str]] = {}
    for name in names:
        with gzip.open(next(data_dir.rglob(f"{name}.csv.gz")), "rt") as file:
            for series, *cells in list(csv.reader(file))[1:]:
                found.setdefault(series, []).extend(c for c in cells if c not in ("", "NA"))
    return found


def detect(data_dir: Path) -> None:
    """Faults put into ETTh1's test part, and alarms at one false one in 1,000 steps of a target."""
    import numpy as np

    import rnnapps as package
    from rnnapps.apps.forecasting import detect as detecting
    from rnnapps.apps.forecasting.data import divide, load_series

    flags = ["--data", "ett_h1", "--data-dir", str(ett_dir(data_dir)), *DETECT]
    with tempfile.TemporaryDirectory() as folder:
        rnnapps("train", "forecasting", *flags, "--run-dir", f"{folder}/run")
        app = package.load(f"{folder}/run")
    parts = divide(load_series(app.config), app.config, app.task)
    targets, (train, first, last) = parts.task.columns.targets, parts.ends[0]
    detector = detecting.fit_detector(app.graph, parts)
    sigma, values = detector.alarms.scale, parts.values[0]

    def ours(values):
        series = dataclasses.replace(parts.data.series[0], values=values)
        data = dataclasses.replace(parts.data, series=[series])
        found = detecting.detect(app.graph, detector, data, [(first, last)], 1.0)
        return np.stack([found[found["target"] == name]["alarm"] for name in targets], axis=1)

    def naive(values):  # a z-score, its threshold from the validation part, too
        off = np.abs(values[24:] - values[:-24])
        return off[first - 24 :] > np.quantile(off[train - 24 : first - 24], 0.999, axis=0)

    found = {name: {"spikes": [], "shifts": []} for name in ("rnnapps", "seasonal naive")}
    rng = np.random.default_rng(0)
    for copy in range(4):  # of 25 faults each, far from each other
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


def memory(data_dir: Path) -> None:
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
    """The folder below that holds ETTh1; the data is prepared elsewhere if it cannot be there."""
    if (data_dir / "ett_h1").exists():
        return data_dir
    folder = Path(tempfile.gettempdir(), "rnnapps-ett")
    folder.mkdir(exist_ok=True)
    for path in data_dir.rglob("ETTh1.csv*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


ROWS = {
    **{f"etth1-{horizon}": lambda d, h=horizon: etth1(h, d) for horizon in ETT},
    "coverage": coverage,
    "passengers": passengers,
    "air": air,
    "m4-weekly": m4_weekly,
    "detect": detect,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    arguments = options_of(parser, ROWS)
    show_machine()
    for name in arguments.row or ROWS:
        ROWS[name](arguments.data_dir)


if __name__ == "__main__":
    main()
