"""What a replica for each core is worth, and that it trains to the numbers of one device.

    python benchmarks/scale.py [--data-dir DIR] [--epochs 3] [ROW...]

Rows: `chargen`, `translation`, `sentiment` and `forecasting` (items a second from the second epoch
on, `--strategy auto`, with replicas, against `--strategy cpu`, with TensorFlow's threads, taking
turns), `equal` (validation loss and weights of one process, two replicas and two workers after the
same epochs, without dropout), and `kills` (trainings of two workers, of which the chief or the
other one is killed, and which are started again until they end, have the validation loss of one
that is left alone). Without any, all. The recipes are those beside this file where --data-dir has
their data sets, prepared by tensorflow_datasets; otherwise the embedded samples.
"""

import argparse
import csv
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import options_of, record, rnnapps, show_machine, verdict

HERE = Path(__file__).parent
RECIPES = {  # the bar, the recipe, and what of it is left out
    "chargen": (1.4, "shakespeare_hour.toml", ()),
    "translation": (1.3, "multi30k.toml", ()),
    "sentiment": (1.3, "imdb.toml", ("--pretrain-epochs", 0, "--ensemble", 1)),
    "forecasting": (1.3, None, ()),
}
WAYS = {
    "1 process": ("--strategy", "cpu"),
    "2 replicas": ("--strategy", "auto"),
    "2 workers": ("--workers", 2),
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
    bar, recipe, left_out = RECIPES[name]
    words: list[object] = ["--epochs", options.epochs]
    if recipe and options.data_dir:
        words += ["--config", HERE / recipe, "--data-dir", options.data_dir, *left_out]
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
    from rnnapps import load

    for name, words in SMALL.items():
        losses, weights = {}, {}
        for way, flags in WAYS.items():
            run = folder / f"equal-{name}-{way}"
            losses[way] = train(name, run, *words, "--epochs", epochs, *flags)[-1]["val_loss"]
            weights[way] = load(run).model.get_weights()
        first, *others = WAYS
        rows = {
            f"{name}, {way}": {
                "validation losses apart": abs(losses[way] - losses[first]),
                "weights apart": max(
                    float(abs(one - other).max())
                    for one, other in zip(weights[way], weights[first], strict=True)
                    if one.size and one.dtype.kind == "f"
                ),
            }
            for way in others
        }
        for way, row in rows.items():
            verdict(f"{way}: validation losses apart", row["validation losses apart"], 1e-3)
            verdict(f"{way}: weights apart", row["weights apart"], 1e-4)
        record("scale-equal", rows)


def other_worker(process: subprocess.Popen) -> int | None:
    """The process that a chief has started, if it has."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return next(map(int, children), None)


def kills(folder: Path, times: int) -> None:
    words = ["train", "sentiment", "--units", 16, "--embedding-dim", 16, "--epochs", 2]
    words += ["--patience", 0, "--workers", 2, "--save-every", 5, "--run-dir"]
    whole, draws = folder / "whole", random.Random(0)
    least = rnnapps(*words, whole)["command_seconds"]
    training = json.loads((whole / "run.json").read_text())["seconds"]
    jobs: list[Path] = []
    hit = {"chief": 0, "worker": 0}
    while sum(hit.values()) < times or not ended(jobs[-1]):
        if not jobs or ended(jobs[-1]):
            jobs.append(folder / f"job-{len(jobs)}")
        command = [sys.executable, "-m", "rnnapps.cli", *map(str, [*words, jobs[-1]])]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        if sum(hit.values()) < times:
            moment = least - training * draws.random()
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                who = "worker" if hit["worker"] < hit["chief"] else "chief"
                victim = other_worker(process) if who == "worker" else process.pid
                if victim is not None:
                    os.kill(victim, signal.SIGKILL)
                    hit[who] += 1
                    print(f"killed the {who} of {jobs[-1].name} after {moment:.1f} s", flush=True)
        process.wait()
    losses = {one: last_loss(one) for one in [whole, *jobs]}
    apart = max(abs(losses[one] - losses[whole]) for one in jobs)
    verdict(f"validation losses apart, {len(jobs)} jobs killed {times} times", apart, 1e-6)
    record(
        "scale-kills",
        {
            "sentiment, 2 workers": {
                "chiefs killed": hit["chief"],
                "workers killed": hit["worker"],
                "jobs": len(jobs),
                "validation loss, left alone": losses[whole],
                "validation losses apart": apart,
            }
        },
    )


def ended(run_dir: Path) -> bool:
    return (run_dir / "run.json").exists()


def last_loss(run_dir: Path) -> float:
    with (run_dir / "history.csv").open() as file:
        return float([*csv.DictReader(file)][-1]["val_loss"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="prepared tensorflow_datasets")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3, help="trainings of each strategy")
    parser.add_argument("--kills", type=int, default=10)
    options = options_of(parser, [*RECIPES, "equal", "kills"])
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)  # which would leave training one core
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.row or [*RECIPES, "equal", "kills"]:
            if name == "equal":
                equal(Path(folder))
            elif name == "kills":
                kills(Path(folder), options.kills)
            else:
                speed(name, Path(folder), options)


if __name__ == "__main__":
    main()
