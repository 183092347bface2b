"""The local server under load and with new versions, and the latency of one request.

Trains the sentiment classifier on the embedded sample (or uses --run-dir), exports it, serves it
in a separate process, and prints a row for each claim.

    python benchmarks/serving.py [--run-dir RUN_DIR] [--seconds 60] [--clients 64]
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from common import record, show_machine

import rnnapps
from rnnapps import SentimentClassifier
from rnnapps.data import make_reviews
from rnnapps.errors import ServerError
from rnnapps.serving import Client

TEXT = "not a bad film at all"
PUBLISHED_EVERY = 2.0  # seconds


class Load:
    """Concurrent clients, each sending its next request as soon as it gets a response."""

    def __init__(self, url: str, clients: int):
        self.seconds: list[float] = []
        self.errors: list[Exception] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[url]) for _ in range(clients)]

    def _ask(self, url):
        client = Client(url, "sentiment", retries=0)
        while not self._end.is_set():
            began = time.perf_counter()
            try:
                client.predict([TEXT])
            except Exception as error:  # all errors are counted
                self.errors.append(error)
            self.seconds.append(time.perf_counter() - began)

    def __enter__(self):
        self._began = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.elapsed = time.perf_counter() - self._began

    def found(self) -> dict[str, float]:
        cuts = statistics.quantiles(self.seconds, n=100)
        return {
            "errors": len(self.errors),
            "requests": len(self.seconds),
            "a second": len(self.seconds) / self.elapsed,
            "p50, ms": cuts[49] * 1e3,
            "p99, ms": cuts[98] * 1e3,
        }

    def __str__(self):
        return ", ".join(f"{name} {value:.0f}" for name, value in self.found().items())


@contextlib.contextmanager
def serving(folder: Path):
    """`rnnapps serve` in a separate process: its REST address, and the process."""
    command = [sys.executable, "-m", "rnnapps.cli", "serve", str(folder)]
    ports = ["--rest-port", "0", "--grpc-port", "0"]
    with subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("REST "):
                break
        try:
            yield line.split()[1], process
        finally:
            process.send_signal(signal.SIGTERM)


def memory(process: subprocess.Popen) -> float:
    """Resident memory of an idle process, in MiB."""
    time.sleep(5)
    size = subprocess.run(["ps", "-o", "rss=", "-p", str(process.pid)], stdout=subprocess.PIPE)
    return int(size.stdout) / 1024


def publish(version: Path, model_dir: Path) -> int:
    """Publishes a copy of a version as the next one, by renaming, as an export does."""
    model_dir.mkdir(exist_ok=True)
    numbers = [int(path.name) for path in model_dir.iterdir() if path.name.isdecimal()]
    number = max(numbers, default=0) + 1
    shutil.copytree(version, model_dir / ".draft")
    (model_dir / ".draft").rename(model_dir / str(number))
    return number


def wait_for(client: Client, number: int) -> None:
    while True:
        with contextlib.suppress(ServerError):  # the model is not known yet
            if client.status().get(number, ("",))[0] == "AVAILABLE":
                return
        time.sleep(0.01)


def bear_load(url: str, options) -> None:
    with Load(url, options.clients) as load:
        time.sleep(options.seconds)
    print(f"{options.clients} clients for {options.seconds} s: {load}")
    record("serving-load", {f"{options.clients} clients": load.found()})
    show(load.errors)


def bear_versions(url: str, version: Path, folder: Path, options) -> None:
    number = 0
    with Load(url, options.clients) as load:
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            began = time.monotonic()
            number = publish(version, folder / "sentiment")
            time.sleep(max(0.0, PUBLISHED_EVERY - (time.monotonic() - began)))
    client = Client(url, "sentiment")
    wait_for(client, number)
    print(f"a version every {PUBLISHED_EVERY:g} s for {options.seconds} s: {load}")
    record("serving-load", {f"and a version every {PUBLISHED_EVERY:g} s": load.found()})
    print(f"  {len(client.status())} versions were loaded, one at the end")
    show(load.errors)


def show(errors: list[Exception]) -> None:
    for error in errors[:3]:
        print(f"  {error}")


def first_and_later(url: str, version: Path, folder: Path) -> None:
    client, ratios = Client(url, "sentiment"), []
    for _ in range(9):
        wait_for(client, publish(version, folder / "sentiment"))
        times = []
        for _ in range(31):
            began = time.perf_counter()
            client.predict([TEXT])
            times.append(time.perf_counter() - began)
        ratios.append(times[0] / statistics.median(times[1:]))
    print(
        f"first answer of a new version : later ones, median of {len(ratios)} versions: "
        f"{statistics.median(ratios):.2f} (at most {max(ratios):.2f})"
    )


def one_answer(app: SentimentClassifier, version: Path) -> None:
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    text = tf.constant([TEXT])
    contenders = {
        "serving_default": lambda: served(text=text)["label"].numpy(),
        "keras.Model.predict": lambda: app.model.predict(text, verbose=0),
    }
    times = {name: [] for name in contenders}
    for _ in range(110):  # alternating, so that other load affects both
        for name, call in contenders.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    direct, keras = (statistics.median(found[10:]) * 1e3 for found in times.values())
    print(
        f"one short review, p50: serving_default {direct:.2f} ms, keras.Model.predict "
        f"{keras:.2f} ms, ratio {direct / keras:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-dir", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    if options.run_dir:
        app = rnnapps.load(options.run_dir)
    else:
        app = SentimentClassifier(epochs=2).fit(make_reviews(2000))
    show_machine()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "saved_models")
        app.export(folder / "sentiment")
        version = Path(shutil.copytree(folder / "sentiment" / "1", Path(scratch, "version")))
        one_answer(app, version)
        with serving(folder) as (url, process):
            first_and_later(url, version, folder)
            bear_load(url, options)
            bear_versions(url, version, folder, options)
            after = memory(process)
        shutil.rmtree(folder / "sentiment")
        for name in ("sentiment", "again"):  # memory of two versions in a fresh server
            publish(version, folder / name)
        with serving(folder) as (url, process):
            with Load(url, options.clients):
                time.sleep(options.seconds)
            two = memory(process)
        print(
            f"  memory {after:.0f} MiB; a server of two versions under the same load {two:.0f} MiB"
        )


if __name__ == "__main__":
    main()
