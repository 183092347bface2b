"""Quality of the character generator, and its speed in training and generation.

    python benchmarks/chargen.py [--data-dir DIR] [ROW...]

Rows: `hour` and `minutes` (tiny_shakespeare in 60 and in 5 minutes, from a prepared
tensorflow_datasets folder), `writing` (one stream against a Python loop), `batch` (64 streams in a
batch against one at a time), `cached` (a Transformer's KV cache against recomputing the window;
with `--threads 1` as in `rnnapps predict`), `training` (steps against keras.layers.LSTM); by
default all of these.
Measurements alternate, so that their ratios are meaningful on a busy machine, too. `lengths`
compares with n-gram models on short texts, on the validation set only.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from common import measured, options_of, record, rnnapps, show, show_machine

from rnnapps import CharGenConfig, CharGenerator
from rnnapps.apps.chargen.config import WINDOW
from rnnapps.apps.chargen.data import encode, make_tokenizer, sample, stream_shape
from rnnapps.apps.chargen.model import build_network
from rnnapps.apps.chargen.pipeline import build_model
from rnnapps.data import Streams, load_tfds
from rnnapps.layers import TransformerStack
from rnnapps.text import KneserNey
from rnnapps.training import StreamedNetwork, compile_model

HERE = Path(__file__).parent
SMALL = {"units": 256, "layers": 2, "embedding_dim": 64, "dropout": 0.0}
LENGTHS = [(n, epochs) for n in (35_000, 70_000, 140_000) for epochs in (10, 20)]
# The cells; for `hour` with the number of epochs that fit, on one core.
RECIPES = {"minutes": {"lstm": ()}, "hour": {"lstm": (), "gru": ("--epochs", 40)}}
MEASURES = ("nats_per_character", "bits_per_character", "nats_per_character_windowed")


def shakespeare(config: Path, data_dir: str | None, cells: dict[str, tuple]) -> None:
    """Trains each cell by a recipe, and evaluates it on the last tenth."""
    flags = ["--config", str(config), *(["--data-dir", data_dir] if data_dir else [])]
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for cell, own in cells.items():
            run_dir = Path(folder, cell)
            words = [*flags, "--cell", cell, *own]
            trained = rnnapps("train", "chargen", *words, "--run-dir", run_dir)
            print(f"rnnapps train chargen {' '.join(map(str, words))}: {trained['seconds']:.0f} s")
            rows |= last_tenth(cell, run_dir)
    show("last tenth", rows, MEASURES)
    record(f"chargen-{config.stem}", rows, MEASURES)


def last_tenth(cell: str, run_dir: Path) -> dict[str, dict]:
    """The test metrics of a run, by cell, and of the baselines."""
    names = {"rnnapps": f"{cell}, with n-grams", "network alone": f"{cell}, network alone"}
    found = measured(rnnapps("evaluate", run_dir))
    return {names.get(name, name): row for name, row in found.items()}


def lengths(data_dir: str | None) -> None:
    """The text length from which on a network is better than an n-gram model."""
    (train,) = load_tfds("tiny_shakespeare", ("train",), data_dir)
    text = "".join(row["text"].decode() for row in train)
    for length, epochs in LENGTHS:
        cut = length - length // 20
        parts = text[:cut], text[cut:length]
        app = CharGenerator(epochs=epochs, ngrams=0).fit(*parts)
        row = {"epochs": epochs, "of them run": len(app.history)}
        row["network"] = app.metrics["validation"]["nats_per_character"]
        ids, size = [encode(app.tokenizer, part) for part in parts], app.tokenizer.vocabulary_size
        for order in (4, 5, 6):
            ngrams = KneserNey(order, size)
            ngrams.adapt(ids[0])
            row[f"{order}-gram"] = float(ngrams.nats(ids[1]).sum() / len(parts[1]))
        print(f"{length:,} characters: {row}")
        record("chargen-lengths", {f"{length:,} characters, {epochs} epochs": row})


def turns(contenders: dict[str, Callable[[], int]], repeats: int = 5) -> dict[str, float]:
    """Median seconds per item of each contender, alternating; contenders return their count."""
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            began = time.perf_counter()
            count = run()
            seconds[name].append((time.perf_counter() - began) / count)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def small_app(**settings: Any) -> CharGenerator:
    """An untrained generator with two layers of 256 units, on the characters of the sample."""
    app = CharGenerator(**SMALL, **settings)
    tokenizer = make_tokenizer(app.config, sample()[:100_000])
    app.model = build_model(tokenizer, build_network(app.config, tokenizer.vocabulary_size))
    return app


def keras_network(vocabulary_size: int, stateful: bool) -> keras.Model:
    """The same model with Keras' layers; with `stateful` it takes and returns its states."""
    ids = keras.Input((None,), dtype="int32")
    given = [keras.Input((SMALL["units"],)) for _ in range(4)] if stateful else []
    x, states = keras.layers.Embedding(vocabulary_size, SMALL["embedding_dim"])(ids), []
    for layer in range(2):
        lstm = keras.layers.LSTM(SMALL["units"], return_sequences=True, return_state=True)
        x, *state = lstm(x, initial_state=given[2 * layer : 2 * layer + 2] or None)
        states += state
    logits = keras.layers.Dense(vocabulary_size)(x)
    return keras.Model([ids, *given], [logits, *states] if stateful else logits)


def writing() -> None:
    app = small_app()
    network = keras_network(app.tokenizer.vocabulary_size, stateful=True)
    compiled = tf.function(network, autograph=False)

    def by_the_character(model, count: int) -> int:
        state, token = [tf.zeros([1, SMALL["units"]])] * 4, tf.constant([[5]])
        for _ in range(count):
            logits, *state = model([token, *state])
            token = tf.random.categorical(logits[:, 0] / 0.8, 1, dtype=tf.int32)
            int(token[0, 0])  # reads the character
        return count

    def in_graph() -> int:
        return len(app.predict(["import "], length=640)[0])

    seconds = turns({
        "in the graph": in_graph,
        "Python loop over model(x)": lambda: by_the_character(network, 32),
        "Python loop over a compiled model": lambda: by_the_character(compiled, 320),
    })  # fmt: skip
    report("one stream, 2 x 256 LSTM, a character", seconds, "in the graph")


def batch() -> None:
    app = small_app()
    prompts = ["import "] * 64

    def one_after_another() -> int:
        for i, prompt in enumerate(prompts[:4]):
            app.predict([prompt], length=320, seed=i)
        return 4

    def at_once() -> int:
        app.predict(prompts, length=320)
        return 64

    seconds = turns({"64 at once": at_once, "one after another": one_after_another})
    report("a stream of 320 characters", seconds, "64 at once")


def cached() -> None:
    for window in (WINDOW, 256):
        cached_within(window)


def cached_within(window: int) -> None:
    """A Transformer with a KV cache, against one that recomputes its window."""
    app, count = small_app(cell="transformer", window=window), 256
    size = app.tokenizer.vocabulary_size
    whole = keras.Sequential([
        keras.layers.Embedding(size, SMALL["embedding_dim"]),
        TransformerStack(SMALL["units"], SMALL["layers"], causal=True, return_sequences=False),
        keras.layers.Dense(size),
    ])  # fmt: skip

    @tf.function
    def window_after_window():
        """Also in the graph, and with only the last token's logits."""
        read = tf.ones([1, window], tf.int32)
        for _ in tf.range(count):
            token = tf.random.categorical(whole(read) / 0.8, 1, dtype=tf.int32)
            read = tf.concat([read[:, 1:], token], 1)
        return read

    def anew() -> int:
        window_after_window().numpy()
        return count

    seconds = turns({
        "carried keys and values": lambda: len(app.predict(["import "], length=count)[0]),
        "window read anew": anew,
    })  # fmt: skip
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    of = f", threads {threads}" if threads else ""
    title = f"one stream of {count}, 2 x 256 Transformer, window {window}{of}, a character"
    report(title, seconds, "carried keys and values")


def training() -> None:
    config = CharGenConfig(**SMALL)
    text = sample()[:400_000]
    tokenizer = make_tokenizer(config, text)
    ids = encode(tokenizer, text)
    streams, window = stream_shape(len(ids), config)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ours = StreamedNetwork(build_network(config, tokenizer.vocabulary_size), streams)
    theirs = keras_network(tokenizer.vocabulary_size, stateful=False)
    for model in (ours, theirs):
        compile_model(model, config, 1000, loss)
    rows = ids[: len(ids) // (window + 1) * (window + 1)].reshape(-1, window + 1)
    windows = tf.data.Dataset.from_tensor_slices((rows[:, :-1], rows[:, 1:]))
    windows = windows.shuffle(len(rows), 0).repeat().batch(streams).prefetch(2)

    def steps(model, dataset) -> Callable[[], int]:
        def run() -> int:
            model.fit(dataset, steps_per_epoch=12, verbose=0, shuffle=False)
            return 12 * window * streams

        return run

    seconds = turns({
        "rnnapps, streams": steps(ours, Streams(ids, streams, window).epochs()),
        "keras.layers.LSTM, independent windows": steps(theirs, windows),
    })  # fmt: skip
    report("training, 2 x 256 LSTM, a character", seconds, "rnnapps, streams")


def report(title: str, seconds: dict[str, float], ours: str) -> None:
    print(f"\n{title}")
    record(
        "chargen-speed",
        {f"{title}: {name}": {"microseconds": 1e6 * one} for name, one in seconds.items()},
    )
    for name, one in seconds.items():
        ratio = "" if name == ours else f"{one / seconds[ours]:8.2f} x the time"
        print(f"{name:40}{1e6 * one:12.1f} us{ratio}")


def main() -> None:
    rows = {"writing": writing, "batch": batch, "cached": cached, "training": training}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="prepared tensorflow_datasets")
    parser.add_argument("--threads", type=int, default=0, help="of an operation; 0 for all cores")
    options = options_of(parser, ["minutes", "hour", "lengths", *rows])
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    show_machine()
    for name in options.row or ["minutes", "hour", *rows]:
        if name in rows:
            rows[name]()
        elif name == "lengths":
            lengths(options.data_dir)
        else:
            shakespeare(HERE / f"shakespeare_{name}.toml", options.data_dir, RECIPES[name])


if __name__ == "__main__":
    main()
