"""What a replica or a worker for each core is worth, and that the numbers are those of one.

    python benchmarks/scale.py [--data-dir DIR] [--epochs 3] [ROW...]

Rows: `chargen`, `translation`, `sentiment` and `forecasting` (items a second from the second epoch
on, `--strategy auto`, with replicas, against `--strategy cpu`, with TensorFlow's threads, taking
turns), `equal` (the validation loss of both after the same epochs, without dropout), and `predict`
(answers of an export for 200,000 short reviews, by two workers and by one, taking turns, and by two
that are killed ten times). Without any, all. The recipes are those here where --data-dir
has their data sets, prepared by tensorflow_datasets; otherwise the embedded samples.
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import options_of, record, rnnapps, show_machine, verdict

from rnnapps.data import make_reviews

HERE = Path(__file__).parent
RECIPES = {  # the bar, the recipe
    "chargen": (1.4, "shakespeare_hour.toml"),
    "translation": (1.3, "multi30k.toml"),
    "sentiment": (1.3, "imdb.toml"),
    "forecasting": (1.3, None),
}
PLAIN = ("--dropout", 0)
SMALL = {
    "chargen": ("--units", 64, "--batch-size", 32, *PLAIN),
    "translation": ("--units", 32, "--embedding-dim", 32, *PLAIN, "--hidden-dropout", 0),
    "sentiment": ("--units", 32, "--embedding-dim", 32, *PLAIN, "--word-dropout", 0),
    "forecasting": ("--units", 32, *PLAIN),
}


def train(name: str, run_dir: Path, *words: object) -> list[dict[str, float]]:
    """Trains in a process of its own: the metrics and seconds of each epoch."""
    rnnapps("train", name, "--run-dir", run_dir, "--patience", 0, *words)
    seconds = json.loads((run_dir / "run.json").read_text())["epoch_seconds"]
    with (run_dir / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{**row, "seconds": took} for row, took in zip(rows, seconds, strict=True)]


def speed(name: str, folder: Path, options: argparse.Namespace) -> None:
    bar, recipe = RECIPES[name]
    words: list[object] = ["--epochs", options.epochs]
    if recipe and options.data_dir:
        words += ["--config", HERE / recipe, "--data-dir", options.data_dir]
    times: dict[str, list[float]] = {"cpu": [], "auto": []}
    for turn in range(options.turns):
        for strategy, found in times.items():
            run_dir = folder / f"{name}-{strategy}-{turn}"
            epochs = train(name, run_dir, *words, "--strategy", strategy)
            found += [epoch["seconds"] for epoch in epochs[1:]]
    one, replicas = (statistics.median(times[strategy]) for strategy in ("cpu", "auto"))
    print(f"{name}: an epoch in {one:.1f} s on one device, {replicas:.1f} s with replicas")
    verdict("seconds with replicas : on one device", replicas / one, 1 / bar)
    record(
        "scale", {name: {"one device, s": one, "replicas, s": replicas, "times": one / replicas}}
    )


def equal(folder: Path, epochs: int = 3) -> None:
    for name, words in SMALL.items():
        losses = [
            train(name, folder / f"equal-{name}-{strategy}", *words, "--epochs", epochs,
                  "--strategy", strategy)[-1]["val_loss"]
            for strategy in ("cpu", "auto")
        ]  # fmt: skip
        verdict(f"{name}: validation losses apart", abs(losses[0] - losses[1]), 1e-3)


def answering(folder: Path, output: Path, workers: int) -> subprocess.Popen:
    """Starts answering for the reviews."""
    words = ["models", "reviews.csv", "--output", output, "--workers", workers]
    command = [sys.executable, "-m", "rnnapps.cli", "predict", *map(str, words)]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)


def predict(folder: Path, turns: int, rows: int = 200_000, kills: int = 10) -> None:
    train("sentiment", folder / "run", "--epochs", 2)
    subprocess.run(
        [sys.executable, "-m", "rnnapps.cli", "export", "run", "models"], cwd=folder, check=True
    )
    with (folder / "reviews.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text"])
        table.writerows(enumerate(make_reviews(rows)[0]))
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(turns):
        for workers, found in times.items():
            began = time.monotonic()
            assert answering(folder, folder / f"{workers}.csv", workers).wait() == 0
            found.append(time.monotonic() - began)
    one, two = map(statistics.median, times.values())
    print(f"predict: {rows:,} reviews in {one:.1f} s by one worker, {two:.1f} s by two")
    verdict("predict: seconds of two workers : of one", two / one, 0.6)

    output, draws = folder / "killed.csv", random.Random(0)
    for _ in range(kills):
        process = answering(folder, output, 2)
        time.sleep(draws.uniform(0, two / 4))
        process.kill()
        process.wait()
    killed = sum(1 for _ in folder.glob(".killed.csv.partial/part-*"))
    assert answering(folder, output, 2).wait() == 0
    contents = [(folder / name).read_bytes() for name in ("1.csv", "2.csv", "killed.csv")]
    print(f"predict: {killed} parts were there after {kills} kills")
    verdict("predict: files that differ", len(set(contents)) - 1, 0)
    record("scale", {"predict": {"one worker, s": one, "two workers, s": two, "times": one / two}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="prepared tensorflow_datasets")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3, help="runs of each kind")
    options = options_of(parser, [*RECIPES, "equal", "predict"])
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)  # which would leave training one core
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.row or [*RECIPES, "equal", "predict"]:
            if name == "equal":
                equal(Path(folder))
            elif name == "predict":
                predict(Path(folder), options.turns)
            else:
                speed(name, Path(folder), options)


if __name__ == "__main__":
    main()
