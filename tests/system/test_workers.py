"""Processes that train together on this machine: their numbers, their mistakes, their deaths."""

import csv
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import rnnapps
from rnnapps.data import make_reviews
from rnnapps.workers import cluster_here

TINY = [
    "--units", "4", "--embedding-dim", "4", "--ngrams", "0", "--no-bidirectional", "--dropout", "0",
    "--word-dropout", "0", "--batch-size", "16", "--patience", "0", "--schedule", "constant",
    "--clip-norm", "0.1",
]  # fmt: skip
RNNAPPS = [sys.executable, "-m", "rnnapps.cli"]
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
ENVIRONMENT.pop("TF_CPP_MIN_LOG_LEVEL", None)  # with which TensorFlow says more


def written(folder: pathlib.Path, seed: int = 0) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(*make_reviews(160, seed), strict=True)])
    return folder


def started(folder: pathlib.Path, *words: str, **environment: str) -> subprocess.Popen:
    train = ["train", "sentiment", "--data", "reviews.csv", *TINY, *words]
    return subprocess.Popen(
        [*RNNAPPS, *train],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen, status: int = 0) -> str:
    """What a process said on its standard error."""
    out, err = process.communicate(timeout=200)
    assert process.returncode == status, out + err
    return err


def together(*folders: pathlib.Path, words=((), ()), addresses=()) -> list[subprocess.Popen]:
    """A process of each of two workers, as people or Kubernetes start them."""
    addresses, processes = list(addresses or cluster_here(2).addresses), []
    for index, (folder, own) in enumerate(zip(folders, words, strict=True)):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        flags = ["--strategy", "multi_worker", *own]
        processes.append(started(folder, *flags, TF_CONFIG=config))
    return processes


def found(run_dir: pathlib.Path) -> tuple[list[dict[str, float]], list[np.ndarray]]:
    """A run's history and weights."""
    with (run_dir / "history.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return rows, rnnapps.load(run_dir).model.get_weights()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run of one device, in the folder of its data."""
    folder = written(tmp_path_factory.mktemp("workers"))
    ended(started(folder, "--epochs", "3", "--strategy", "cpu", "--run-dir", "alone"))
    return folder


def same(one, other):
    (rows, weights), (others, values) = one, other
    for row, found in zip(rows, others, strict=True):
        assert row.keys() == found.keys()
        np.testing.assert_allclose(list(row.values()), list(found.values()), atol=1e-4)
    for a, b in zip(weights, values, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_two_workers_train_to_the_numbers_of_one_device_and_the_chief_alone_writes(alone):
    first, second = together(alone, alone, words=[("--epochs", "3", "--run-dir", "two")] * 2)
    ended(first)
    assert ended(second) == ""
    same(found(alone / "alone"), found(alone / "two"))
    assert not [path.name for path in alone.iterdir() if path.name.startswith(".")]
    assert json.loads((alone / "two" / "metrics.json").read_text())["validation"]


def test_a_worker_that_dies_ends_the_others_and_training_goes_on_with_another_number(alone):
    words = ["--epochs", "3", "--save-every", "2", "--run-dir", "killed"]
    chief = started(alone, *words, "--workers", "2")
    state = alone / ".killed.partial"
    until = time.monotonic() + 200
    while not list(state.glob("*/epoch-*")):
        assert chief.poll() is None, chief.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    (worker,) = subprocess.run(
        ["pgrep", "-P", str(chief.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(worker), signal.SIGKILL)
    began = time.monotonic()
    said = ended(chief, 1).splitlines()
    assert time.monotonic() - began < 60
    assert said[-1].startswith("rnnapps: Worker 1 (127.0.0.1:")
    assert "ended, and training with it" in said[-1]
    assert list(state.glob("*/epoch-*"))
    ended(started(alone, *words))  # alone
    same(found(alone / "alone"), found(alone / "killed"))


@pytest.mark.parametrize("different", ["learning_rate=0.5", "save_every=7"])
def test_different_settings_are_said_by_both(alone, different):
    flag = f"--{different.replace('_', '-')}"
    processes = together(alone, alone, words=[(), (flag,)])
    said = [ended(process, 2) for process in processes]
    assert said[0] == said[1]
    assert said[0].count("\n") == 1
    name = different.partition("=")[0]
    assert f"Received: {different}, but {name}=" in said[0]


def test_different_data_are_said_by_both(alone, tmp_path):
    processes = together(alone, written(tmp_path, seed=1))
    said = [ended(process, 2).splitlines()[-1] for process in processes]
    assert said[0] == said[1]
    assert "to have the same data as the chief" in said[0]


OTHER_VERSIONS = """
versions = train.installed_versions()
train.installed_versions = lambda: {**versions, "keras": "3.14.0"}
"""
OTHER_DEVICES = """
from rnnapps.training import replicas
replicas.MultiWorkerStrategy.local = 2
"""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (OTHER_VERSIONS, "keras=3.14.0, but keras=3."),
        (OTHER_DEVICES, "the same devices as the chief. Received: replicas=2, but replicas=1 on"),
    ],
    ids=["versions", "devices"],
)
def test_different_versions_and_devices_are_said_by_both(alone, monkeypatch, change, sentence):
    addresses = cluster_here(2).addresses
    (chief,) = together(alone, words=[()], addresses=addresses)
    code = f"import sys\nfrom rnnapps.cli import main, train\n{change}\nsys.exit(main())"
    monkeypatch.setitem(globals(), "RNNAPPS", [sys.executable, "-c", code])
    task = {"type": "worker", "index": 1}
    config = json.dumps({"cluster": {"worker": addresses}, "task": task})
    worker = started(alone, "--strategy", "multi_worker", TF_CONFIG=config)
    said = [ended(process, 2).splitlines()[-1] for process in (chief, worker)]
    assert said[0] == said[1]
    assert sentence in said[0] and f"worker 1 ({addresses[1]})" in said[0]


IMPATIENT = """
import sys
from rnnapps.cli import main
from rnnapps.workers import meeting
meeting._ANSWER = 5.0  # of what listens there and never answers
sys.exit(main())
"""


@pytest.mark.parametrize("taken", [0, 1])
def test_a_port_that_is_taken_is_said_by_both(alone, taken, monkeypatch):
    monkeypatch.setitem(globals(), "RNNAPPS", [sys.executable, "-c", IMPATIENT])
    addresses = cluster_here(2).addresses
    with socket.create_server(("127.0.0.1", int(addresses[taken].rpartition(":")[2]))):
        processes = together(alone, alone, addresses=addresses)
        said = [ended(process, 2) for process in processes]
    assert all(one.count("\n") == 1 and addresses[taken] in one for one in said)
    assert "to be free" in said[taken]


def test_a_full_disk_of_a_worker_is_said_by_both(alone, monkeypatch):
    addresses = cluster_here(2).addresses
    (chief,) = together(alone, words=[()], addresses=addresses)
    small = ["bash", "-c", 'ulimit -f 1; exec "$@"', "small", *RNNAPPS]  # 1 kB a file
    monkeypatch.setitem(globals(), "RNNAPPS", small)
    task = {"type": "worker", "index": 1}
    config = json.dumps({"cluster": {"worker": addresses}, "task": task})
    worker = started(alone, "--strategy", "multi_worker", TF_CONFIG=config)
    said = [ended(process, 2).splitlines()[-1] for process in (chief, worker)]
    assert "File too large: " in said[1]
    assert said[0] == f"rnnapps: Worker 1 ({addresses[1]}): {said[1].removeprefix('rnnapps: ')}"


def test_a_batch_that_cannot_be_shared_is_refused(alone):
    said = ended(started(alone, "--workers", "3"), 2).splitlines()
    assert "Expected --batch-size to be a multiple of 3, the number of replicas" in said[-1]


KERAS = """
import os, sys
import keras, numpy as np, tensorflow as tf
from rnnapps.training.replicas import MultiWorkerStrategy
from rnnapps.workers import cluster_of

strategy = MultiWorkerStrategy(cluster_of(os.environ))
for name in sys.argv[1:]:
    delattr(MultiWorkerStrategy, name)
with strategy.scope():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
x = np.ones((8, 3), "float32")
model.fit(x, x[:, :1], batch_size=4, verbose=0)
"""


@pytest.mark.parametrize("left_out", [[], ["reduce"]])
def test_keras_still_fails_without_ours(left_out):
    """When this fails, Keras' `fit` works as it is, and `MultiWorkerStrategy.reduce` can go."""
    command, processes = [sys.executable, "-c", KERAS, *left_out], []
    addresses = cluster_here(2).addresses
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        environment = {**ENVIRONMENT, "TF_CONFIG": config}
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    said = [process.communicate(timeout=300)[1] for process in processes]
    works = [process.returncode == 0 for process in processes]
    assert works == [not left_out] * 2, said
