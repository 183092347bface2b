"""Speed-up by one replica per core, and equality with training on one device.

    python benchmarks/scale.py [--data-dir DIR] [--fraction 1.0] [--epochs 3] [ROW...]

Rows: `chargen`, `translation`, `sentiment` and `forecasting` (items per second from the second
epoch on, `--strategy auto`, with replicas, against `--strategy cpu`, with TensorFlow's threads,
alternating), `steps` (a training step of each recipe, the same way, and how many cores it keeps at
work), `first` (seconds from the last line about the data to the state that is kept after the first
step), `torch` (a training step of one LSTM, with a replica for each core, against torch.nn.LSTM
with as many threads, if PyTorch is installed), `equal` (validation loss and weights of one process,
two replicas and two workers after the same epochs, without dropout), and `kills` (ten trainings
with two workers are killed once each at a random moment, alternately the chief and the other
worker; restarted, they must reach the validation loss of an undisturbed one). By default all. The
recipes are those in this folder if --data-dir has their data sets, prepared by tensorflow_datasets;
otherwise the embedded samples.
"""

import argparse
import contextlib
import csv
import importlib.util
import itertools
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import options_of, record, rnnapps, show_machine, verdict

from rnnapps.config import read_toml

HERE = Path(__file__).parent
RECIPES = {  # the bar, the recipe, and settings that replace its own
    "chargen": (1.4, "shakespeare_hour.toml", {}),
    "translation": (1.3, "multi30k.toml", {}),
    "sentiment": (1.3, "imdb.toml", {"pretrain_epochs": 0, "ensemble": 1}),
    "forecasting": (1.3, None, {}),
}
STEPS = """
import json, os, sys, time

import keras

from rnnapps.apps import application_class
from rnnapps.training import share_cores

name, settings, times = sys.argv[1], json.loads(sys.argv[2]), []
if settings["strategy"] == "auto":
    share_cores()


class Clock(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        times.append((time.monotonic(), time.process_time()))
        if len(times) == 40:
            print(json.dumps(times), flush=True)
            os._exit(0)


application_class(name)(**settings).fit(callbacks=[Clock()])
"""
WAYS = {
    "1 process": ("--strategy", "cpu"),
    "2 replicas": ("--strategy", "auto"),
    "2 workers": ("--workers", 2),
}
STRATEGIES = {"one device": "cpu", "replicas": "auto"}
LEARNS = (  # the sample, in half a minute
    "--cell", "gru", "--units", 16, "--embedding-dim", 32, "--learning-rate", 0.01, "--epochs", 4,
    "--patience", 0,
)  # fmt: skip
VICTIMS = ("chief", "worker")
PLAIN = ("--dropout", 0)
SMALL = {
    "chargen": ("--units", 64, "--batch-size", 32, *PLAIN),
    "translation": ("--units", 32, "--embedding-dim", 32, *PLAIN, "--hidden-dropout", 0),
    "sentiment": ("--units", 32, "--embedding-dim", 32, *PLAIN, "--word-dropout", 0),
    "forecasting": ("--units", 32, *PLAIN),
}


def train(name: str, run_dir: Path, *words: object) -> list[dict[str, float]]:
    """Trains in a separate process; returns the metrics and seconds of each epoch."""
    rnnapps("train", name, "--run-dir", run_dir, "--patience", 0, *words)
    seconds = json.loads((run_dir / "run.json").read_text())["epoch_seconds"]
    with (run_dir / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{**row, "seconds": took} for row, took in zip(rows, seconds, strict=True)]


def recipe_of(name: str, options: argparse.Namespace) -> tuple[object, ...]:
    """The flags of an application's recipe; none where its data is not there."""
    _, recipe, others = RECIPES[name]
    if not (recipe and options.data_dir):
        return ()
    flags = {f"--{key.replace('_', '-')}": value for key, value in others.items()}
    flags |= {"--config": HERE / recipe, "--data-dir": options.data_dir}
    return tuple(itertools.chain.from_iterable(flags.items()))


def speed(name: str, folder: Path, options: argparse.Namespace) -> None:
    bar, *_ = RECIPES[name]
    words = [*recipe_of(name, options), "--epochs", options.epochs, "--fraction", options.fraction]
    times: dict[str, list[float]] = {way: [] for way in STRATEGIES}
    for turn in range(options.turns):
        for way, strategy in STRATEGIES.items():
            epochs = train(name, folder / f"{name}-{turn}-{way}", *words, "--strategy", strategy)
            times[way] += [epoch["seconds"] for epoch in epochs[1:]]
    one, replicas = (statistics.median(times[way]) for way in STRATEGIES)
    print(f"{name}: an epoch in {one:.1f} s on one device, {replicas:.1f} s with replicas")
    verdict("seconds with replicas : on one device", replicas / one, 1 / bar)
    record(
        "scale", {name: {"one device, s": one, "replicas, s": replicas, "times": one / replicas}}
    )


def steps(name: str, options: argparse.Namespace) -> None:
    """The median step behind the first ones, and the cores that a median step keeps at work."""
    _, recipe, others = RECIPES[name]
    settings = {}
    if recipe and options.data_dir:
        settings = read_toml(HERE / recipe) | others | {"data_dir": options.data_dir}
        settings.pop("application", None)
    took: dict[str, list[np.ndarray]] = {way: [] for way in STRATEGIES}
    for _ in range(options.turns):
        for way, strategy in STRATEGIES.items():
            words = [name, json.dumps(settings | {"strategy": strategy})]
            said = subprocess.check_output([sys.executable, "-c", STEPS, *words], text=True)
            took[way].append(np.diff(json.loads(said.splitlines()[-1]), axis=0)[8:])
    row = {}
    for way, found in took.items():
        wall, cpu = np.median(np.concatenate(found), axis=0)
        row |= {f"{way}, ms": 1e3 * wall, f"cores at work, {way}": cpu / wall}
    row["times"] = row["one device, ms"] / row["replicas, ms"]
    print(f"{name}: {row}", flush=True)
    record("scale-steps", {name: row})


def first_step(name: str, folder: Path, options: argparse.Namespace) -> None:
    """From the last line about the data to the state kept after the first step."""
    home = folder / f"first-{name}"
    command = [sys.executable, "-m", "rnnapps.cli", "train", name, "--run-dir", home / "run"]
    command += [*recipe_of(name, options), "--save-every", 1]
    said = 0.0
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE) as process:
        os.set_blocking(process.stderr.fileno(), False)
        while not [*home.rglob("epoch-*/state.json")]:
            if process.poll() is not None:
                raise SystemExit(f"{name}: training ended with status {process.returncode}")
            said = time.monotonic() if process.stderr.read() else said
            time.sleep(0.05)
        seconds = time.monotonic() - said
        process.kill()
    verdict(f"{name}: seconds to the first step", seconds, 10)
    record("scale-first", {name: {"seconds to the first step": seconds}})


def torch(repeats: int = 60) -> None:
    import layers
    import torch

    from rnnapps.config import TrainingConfig
    from rnnapps.cores import usable_cores
    from rnnapps.training import share_cores, strategy_of

    share_cores()
    torch.set_num_threads(usable_cores())
    rows = {}
    for shape in layers.SHAPES:
        ours = replicated_step(shape, strategy_of(TrainingConfig(), shape[0]))
        times = layers.take_turns({"ours": ours, "torch": layers.torch_step(shape)}, repeats)
        ratio = times["ours"] / times["torch"]
        rows["x".join(map(str, shape))] = {
            "rnnapps, ms": times["ours"], "PyTorch, ms": times["torch"], "ratio": ratio
        }  # fmt: skip
        record("scale-torch", rows)
        print(shape, times, flush=True)
    mean = statistics.geometric_mean(row["ratio"] for row in rows.values())
    verdict("LSTM with replicas : torch.nn.LSTM, geometric mean", mean, 0.9)


def replicated_step(shape: tuple[int, ...], strategy) -> Callable[[], object]:
    """A training step of an LSTM whose replicas share the rows, and add up the gradients."""
    import tensorflow as tf

    from rnnapps.layers import LSTM

    batch, steps, features, units = shape
    rows = batch // strategy.num_replicas_in_sync
    with strategy.scope():
        layer = LSTM(units, return_sequences=True)
        layer.build((rows, steps, features))

    def step_of_replica(x, d_outputs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
        weights = [variable.value for variable in layer.trainable_variables]
        d_x, *gradients = tape.gradient(outputs, [x, *weights], d_outputs)
        return d_x, tf.distribute.get_replica_context().all_reduce("SUM", gradients)

    step = tf.function(lambda *given: strategy.run(step_of_replica, given))
    spread = strategy.experimental_distribute_values_from_function
    given = [spread(lambda _: tf.random.normal((rows, steps, features)))]
    given.append(spread(lambda _: tf.random.normal((rows, steps, units))))
    return lambda: step(*given)


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


def kills(folder: Path, jobs: int) -> None:
    words = ["train", "sentiment", *LEARNS, "--workers", 2, "--save-every", 5, "--run-dir"]
    whole, draws = folder / "whole", random.Random(0)
    least = rnnapps(*words, whole)["command_seconds"]
    training = json.loads((whole / "run.json").read_text())["seconds"]
    apart = []
    for number in range(jobs):
        run_dir, victim = folder / f"job-{number}", VICTIMS[number % 2]
        while not killed(victim, least - training * draws.random(), run_dir, words):
            shutil.rmtree(run_dir)  # it finished before the kill
        rnnapps(*words, run_dir)
        apart.append(abs(last_loss(run_dir) - last_loss(whole)))
        print(f"job {number}: killed the {victim}; losses {apart[-1]:.1g} apart", flush=True)
    verdict(f"validation losses apart, {jobs} jobs", max(apart), 1e-6)
    row = {
        "chiefs killed": -(-jobs // 2),
        "workers killed": jobs // 2,
        "jobs": jobs,
        "validation loss, left alone": last_loss(whole),
        "validation losses apart": max(apart),
    }
    record("scale-kills", {"sentiment, 2 workers": row})


def killed(victim: str, moment: float, run_dir: Path, words: list[object]) -> bool:
    """Kills a process of a training after some seconds, unless the run finishes first."""
    command = [sys.executable, "-m", "rnnapps.cli", *map(str, [*words, run_dir])]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as chief:
        with contextlib.suppress(subprocess.TimeoutExpired):
            chief.wait(moment)
        children = Path(f"/proc/{chief.pid}/task/{chief.pid}/children")
        if chief.returncode is None and (workers := children.read_text().split()):
            os.kill(chief.pid if victim == "chief" else int(workers[0]), signal.SIGKILL)
    return not (run_dir / "run.json").exists()


def last_loss(run_dir: Path) -> float:
    with (run_dir / "history.csv").open() as file:
        return float([*csv.DictReader(file)][-1]["val_loss"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="prepared tensorflow_datasets")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the data, for the speeds")
    parser.add_argument("--turns", type=int, default=3, help="trainings of each strategy")
    parser.add_argument("--kills", type=int, default=10, help="trainings that are killed")
    options = options_of(parser, [*RECIPES, "steps", "first", "torch", "equal", "kills"])
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)  # it would limit training to one core
    show_machine()
    there = ["torch"] if importlib.util.find_spec("torch") else []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.row or [*RECIPES, "steps", "first", *there, "equal", "kills"]:
            if name == "equal":
                equal(Path(folder))
            elif name == "steps":
                for application in RECIPES:
                    steps(application, options)
            elif name == "first":
                for application in RECIPES:
                    first_step(application, Path(folder), options)
            elif name == "torch":
                torch()
            elif name == "kills":
                kills(Path(folder), options.kills)
            else:
                speed(name, Path(folder), options)


if __name__ == "__main__":
    main()
