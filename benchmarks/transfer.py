"""What pretraining, spans of texts and adversarial steps are worth to the sentiment classifier.

    python benchmarks/transfer.py --imdb DIR --rt-polarity DIR --waimai FILE [ROW ...]

Each row is recorded as JSON. `ablation` measures on validation alone; the others read the test part
once. `DIR` of IMDB is what `--data-dir` takes.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import options_of, record, rnnapps, show, show_machine

NETWORK = (
    "--max-length", 800, "--crops", 0.5, "--embedding-dim", 256, "--dropout", 0.5,
    "--embedding-dropout", 0.2, "--word-dropout", 0.1,
)  # fmt: skip
RECIPE = (*NETWORK, "--epochs", 4)
ROUNDS = {500: 2, 100: 3}  # of self-training, by the number of labels
INGREDIENTS = {
    "as today": (),
    "crops": ("--crops", 0.5),
    "pretrained": ("--pretrain-epochs", 4, "--dropout", 0.2),
    "adversarial": ("--adversarial", 2),
    "recipe without pretraining": RECIPE,
    "recipe": (*RECIPE, "--pretrain-epochs", 5),
    "recipe, two networks": (*RECIPE, "--pretrain-epochs", 5, "--ensemble", 2),
}
MEASURES = ("accuracy", "log_loss", "seconds")


def train(folder: Path, *flags: object) -> tuple[Path, dict]:
    """Trains a classifier; its run and what the command said."""
    run = folder / f"run-{len(list(folder.iterdir()))}"
    return run, rnnapps("train", "sentiment", *flags, "--run-dir", run)


def speed(options: argparse.Namespace, folder: Path) -> None:
    """Tokens a second of pretraining, and of the classifier's training."""
    import numpy as np
    import tensorflow as tf

    from rnnapps.apps.sentiment import data
    from rnnapps.apps.sentiment.config import SentimentConfig
    from rnnapps.apps.sentiment.model import build_network
    from rnnapps.text import make_tokenizer
    from rnnapps.training import compile_model, fit, pretrain

    config = SentimentConfig(
        data="imdb_reviews", data_dir=options.imdb, epochs=1, schedule="constant"
    )
    train_part = data.load_splits(config).train.take(range(6000))
    tokenizer = make_tokenizer("word", train_part.texts, config.max_tokens)
    ids = tokenizer.encode(train_part.texts)
    network = build_network(config, tokenizer.vocabulary_size, 2)
    tokens = int(ids.flat_values.shape[0])
    layers = (network.get_layer("embedding"), network.get_layer("recurrent"))
    few = tf.ragged.constant([[2] * 64])  # a validation part that takes no time
    began = time.monotonic()
    pretrain(*layers, ids, few, config, 1, folder / "language_model")
    before = tokens / (time.monotonic() - began)
    labels = np.array([label == "pos" for label in train_part.labels], np.int32)
    parts = data.Encoded(tokenizer, ["neg", "pos"], ids, labels, few, np.zeros(1, np.int32))
    batches, _ = data.training_batches(parts, config)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compile_model(network, config, len(batches), loss)
    read = int(np.minimum(ids.row_lengths(), config.max_length).sum())
    began = time.monotonic()
    fit(network, batches, None, config, 1)
    after = read / (time.monotonic() - began)
    found = {"pretraining": before, "classifier": after, "ratio": before / after}
    report("speed", {"tokens a second": found})


def ablation(options: argparse.Namespace, folder: Path) -> None:
    """What each ingredient is worth on IMDB's validation part, of the network alone."""
    rows = {}
    for name, flags in INGREDIENTS.items():
        data = ("--data", "imdb_reviews", "--data-dir", options.imdb, "--ngrams", 0)
        _, found = train(folder, *data, *flags)
        rows[name] = {**found["validation"], "seconds": found["seconds"]}
        report("ablation", rows)


def imdb(options: argparse.Namespace, folder: Path) -> None:
    """IMDB with all labels: the network alone, and the application of two networks."""
    rows = {}
    contenders = {"network alone": ("recipe", 0), "application": ("recipe, two networks", 3)}
    for name, (recipe, ngrams) in contenders.items():
        data = ("--data", "imdb_reviews", "--data-dir", options.imdb, "--ngrams", ngrams)
        run, found = train(folder, *data, *INGREDIENTS[recipe])
        rows[name] = {**rnnapps("evaluate", run), "seconds": found["seconds"]}
        report("imdb", rows)


def labels(options: argparse.Namespace, folder: Path) -> None:
    """IMDB with 500 and 100 labels, the other training reviews without: the mean of 3 draws."""
    from rnnapps.apps.sentiment import data
    from rnnapps.apps.sentiment.config import SentimentConfig

    parts = data.load_splits(SentimentConfig(data="imdb_reviews", data_dir=options.imdb))
    rows = {}
    for count, rounds in ROUNDS.items():
        accuracies = []
        for seed in range(3):
            order = random.Random(seed).sample(range(len(parts.train)), len(parts.train))
            home = folder / f"{count}-{seed}"
            write_classes(home / "train", parts.train.take(order[:count]))
            write_classes(home / "test", parts.test)
            rest = [" ".join(parts.train.texts[i].split()) for i in order[count:]]
            (folder / "rest.txt").write_text("\n".join(rest))
            flags = ("--data", home, "--unlabelled", folder / "rest.txt", "--seed", seed)
            taught = ("--epochs", 2, "--self-training", rounds)
            run, _ = train(folder, *flags, *NETWORK, *taught)
            accuracies.append(rnnapps("evaluate", run)["accuracy"])
        rows[f"{count} labels"] = {"accuracy": statistics.mean(accuracies)}
        report("labels", rows)


def rt_polarity(options: argparse.Namespace, folder: Path) -> None:
    """Short reviews, from scratch and from a run of IMDB, of 5 seeds."""
    path = folder / "rt.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label in ("neg", "pos"):
            lines = (options.rt_polarity / f"rt-polarity.{label}").read_text("utf-8").split("\n")
            writer.writerows([line.strip(), label] for line in lines if line.strip())
    data = ("--data", "imdb_reviews", "--data-dir", options.imdb)
    imdb_run, _ = train(folder, *data, *INGREDIENTS["recipe"])
    several("rt_polarity", folder, ("--data", path), {"from IMDB": ("--init-from", imdb_run)})


def waimai(options: argparse.Namespace, folder: Path) -> None:
    """Chinese reviews, from scratch and from a language model of the same texts, of 5 splits."""
    flags = ("--data", options.waimai, "--text-column", "review")
    several("waimai", folder, flags, {"pretrained": ("--pretrain-epochs", 4)})


def pairs(options: argparse.Namespace, folder: Path) -> None:
    """Sentences and their negations: right on both."""
    run, _ = train(
        folder, "--data", "imdb_reviews", "--data-dir", options.imdb, *INGREDIENTS["recipe"]
    )
    with Path(__file__).with_name("minimal_pairs.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    given = [text for row in rows for text in (row["sentence"], row["negation"])]
    command = [sys.executable, "-m", "rnnapps.cli", "predict", str(run), "--json"]
    done = subprocess.run(
        command, input="\n".join(given), stdout=subprocess.PIPE, text=True, check=True
    )
    answers = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    wanted = [label for row in rows for label in (row["label"], row["negation_label"])]
    right = [a == b for a, b in zip(answers, wanted, strict=True)]
    both = [a and b for a, b in zip(right[::2], right[1::2], strict=True)]
    report("pairs", {"pairs": {"both": statistics.mean(both), "each": statistics.mean(right)}})


def several(table: str, folder: Path, data: tuple, other: dict[str, tuple]) -> None:
    """A table of the defaults and others beside them: the mean of 5 seeds, 5 divisions."""
    rows: dict[str, dict[str, float]] = {}
    for name, flags in {"from scratch": (), **other}.items():
        found = []
        for seed in range(5):
            run, _ = train(folder, *data, *flags, "--seed", seed)
            found.append(rnnapps("evaluate", run))
        rows[name] = {"accuracy": statistics.mean(one["accuracy"] for one in found)}
        for baseline in found[0]["baselines"]:
            accuracies = [one["baselines"][baseline]["accuracy"] for one in found]
            rows[baseline] = {"accuracy": statistics.mean(accuracies)}
        report(table, rows)


def write_classes(folder: Path, examples) -> None:
    """Writes a folder of texts for each class."""
    for i, (text, label) in enumerate(zip(examples.texts, examples.labels, strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{i}.txt").write_text(text)


def report(table: str, rows: dict[str, dict[str, float]]) -> None:
    """Prints and keeps what there is of a table so far."""
    names = [m for m in MEASURES if any(m in row for row in rows.values())] or list(
        next(iter(rows.values()))
    )
    show(table, rows, names)
    record(f"transfer-{table}", rows, names)


ROWS = {row.__name__: row for row in (speed, ablation, imdb, labels, rt_polarity, waimai, pairs)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for flag in ("--imdb", "--rt-polarity", "--waimai"):
        parser.add_argument(flag, type=Path)
    options = options_of(parser, ROWS)
    show_machine()
    for name in options.row or ROWS:
        with tempfile.TemporaryDirectory() as folder:
            ROWS[name](options, Path(folder))
