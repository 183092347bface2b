"""What pretraining, spans of texts and self-training are worth to the sentiment classifier.

    python benchmarks/transfer.py --imdb DIR --rt-polarity DIR --waimai FILE --runs DIR [ROW ...]

Each row is recorded as JSON. `ablation` measures on validation alone; the others read the test part
once. `DIR` of IMDB is what `--data-dir` takes; runs are kept in that of `--runs`, and what is there
already is neither trained nor measured again.
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

from common import measured, options_of, record, rnnapps, show, show_machine

RECIPE = Path(__file__).with_name("imdb.toml")
NETWORK = (
    "--max-length", 800, "--crops", 0.5, "--embedding-dim", 256, "--dropout", 0.5,
    "--embedding-dropout", 0.2, "--word-dropout", 0.1,
)  # fmt: skip
ROUNDS = {500: 2, 100: 3}  # of self-training, by the number of labels
INGREDIENTS = {"the defaults, 4 epochs": (), "spans of texts": ("--crops", 0.5)}
MEASURES = ("accuracy", "log_loss", "seconds")


def trained(options: argparse.Namespace, name: str, *flags: object) -> Path:
    """The run of a classifier, which is trained unless it is there already."""
    run = options.runs / name
    if not run.exists():
        rnnapps("train", "sentiment", *flags, "--run-dir", run)
    return run


def tested(run: Path) -> dict:
    """What a run has on the test part, which is read unless it was read already."""
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    return found.get("test") or rnnapps("evaluate", run)


def language_model(options: argparse.Namespace) -> Path:
    """The language model of IMDB's training reviews, from which several rows start."""
    data = ("--config", RECIPE, "--data-dir", options.imdb)
    return trained(options, "lm", *data, "--pretrain-epochs", 4, "--pretrain-only", "--ensemble", 1)


def imdb_run(options: argparse.Namespace) -> Path:
    """The run that learned from all labelled reviews."""
    start = ("--pretrain-epochs", 0, "--init-from", language_model(options))
    return trained(options, "imdb", "--config", RECIPE, "--data-dir", options.imdb, *start)


def speed(options: argparse.Namespace) -> None:
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
    with tempfile.TemporaryDirectory() as folder:
        pretrain(*layers, [ids], few, config, 1, Path(folder))
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


def ablation(options: argparse.Namespace) -> None:
    """What each ingredient is worth on IMDB's validation part, of the network alone."""
    rows = {}
    for name, flags in INGREDIENTS.items():
        data = ("--data", "imdb_reviews", "--data-dir", options.imdb, "--epochs", 4)
        run = trained(options, name.replace(" ", "-"), *data, "--ngrams", 0, *flags)
        rows[name] = json.loads((run / "metrics.json").read_text("utf-8"))["validation"]
        report("ablation", rows)
    rows |= parts_of(imdb_run(options))
    report("ablation", rows)


def parts_of(run: Path) -> dict[str, dict[str, float]]:
    """What each part of the run of two networks has on validation."""
    import keras
    import tensorflow as tf

    from rnnapps import load
    from rnnapps.apps.sentiment import data
    from rnnapps.apps.sentiment.answers import probabilities_of
    from rnnapps.metrics import classification

    app = load(run)
    held = data.load_splits(app.config).validation
    labels = data.indices(held.labels, app.classes, "validation")
    names = ("the first network", "the second network", "n-grams")
    whole, alone = probabilities_of(app.graph, held.texts, len(app.classes))
    found = {"the two networks": alone}
    for name, logits in zip(names, app.model.get_layer("ensemble").input, strict=True):
        part = keras.Model(app.model.input, app.model.get_layer("labels")(logits))
        graph = tf.function(part, autograph=False, reduce_retracing=True)
        found[name] = probabilities_of(graph, held.texts, len(app.classes)).whole
    found["the two networks and the n-grams"] = whole
    return {name: classification(labels, one, app.classes) for name, one in found.items()}


def imdb(options: argparse.Namespace) -> None:
    """IMDB with all labels: the application of two networks, and these alone."""
    run = imdb_run(options)
    rows = measured(tested(run))
    rows["rnnapps"]["seconds"] = json.loads((run / "run.json").read_text("utf-8"))["seconds"]
    report("imdb", rows)


def labels(options: argparse.Namespace) -> None:
    """IMDB with 500 and 100 labels, the other training reviews without: the mean of 3 draws."""
    import numpy as np

    from rnnapps.apps.sentiment import data
    from rnnapps.apps.sentiment.config import SentimentConfig
    from rnnapps.data.learned import among, hashes

    parts = data.load_splits(SentimentConfig(data="imdb_reviews", data_dir=options.imdb))
    learned = hashes([*parts.train.texts, *parts.validation.texts])
    test = parts.test.take(np.flatnonzero(~among(parts.test.texts, learned)))
    for count, rounds in ROUNDS.items():
        found = []
        for seed in range(3):
            home = options.runs / f"labels-{count}-{seed}"
            rest = home.with_suffix(".txt")
            if not home.exists():
                # A tenth chooses the weights, of the reviews that chose the language model's.
                most = count - count // 10
                few = parted(parts.train, seed, most)
                held = parted(parts.validation, seed, count - most)
                for name, part in {"train": few[0], "validation": held[0], "test": test}.items():
                    write_classes(home / name, part)
                texts = few[1].texts + held[1].texts
                rest.write_text("\n".join(" ".join(text.split()) for text in texts))
            start = ("--init-from", language_model(options), "--epochs", 1)
            flags = ("--data", home, "--unlabelled", rest, "--self-training", rounds)
            flags += ("--seed", seed, *NETWORK, *start)
            found.append(tested(trained(options, f"{home.name}-run", *flags)))
            report("labels", {f"{count} labels, {name}": row for name, row in means(found).items()})


def parted(examples, seed: int, count: int) -> tuple:
    """Some examples, drawn by chance, and the others."""
    order = random.Random(seed).sample(range(len(examples)), len(examples))
    return examples.take(order[:count]), examples.take(order[count:])


def rt_polarity(options: argparse.Namespace) -> None:
    """Short reviews, from scratch and from a run of IMDB, of 5 seeds."""
    path = options.runs / "rt.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label in ("neg", "pos"):
            lines = (options.rt_polarity / f"rt-polarity.{label}").read_text("utf-8").split("\n")
            writer.writerows([line.strip(), label] for line in lines if line.strip())
    other = {"from IMDB": ("--init-from", imdb_run(options))}
    several("rt_polarity", options, ("--data", path), other)


def waimai(options: argparse.Namespace) -> None:
    """Chinese reviews, from scratch and from a language model of the same texts, of 5 splits."""
    flags = ("--data", options.waimai, "--text-column", "review")
    several("waimai", options, flags, {"pretrained": ("--pretrain-epochs", 4)})


def pairs(options: argparse.Namespace) -> None:
    """Sentences and their negations: right on both."""
    with Path(__file__).with_name("minimal_pairs.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    given = [text for row in rows for text in (row["sentence"], row["negation"])]
    command = [sys.executable, "-m", "rnnapps.cli", "predict", str(imdb_run(options)), "--json"]
    done = subprocess.run(
        command, input="\n".join(given), stdout=subprocess.PIPE, text=True, check=True
    )
    answers = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    wanted = [label for row in rows for label in (row["label"], row["negation_label"])]
    right = [a == b for a, b in zip(answers, wanted, strict=True)]
    both = [a and b for a, b in zip(right[::2], right[1::2], strict=True)]
    report("pairs", {"rnnapps": {"both": statistics.mean(both), "each": statistics.mean(right)}})


def several(table: str, options: argparse.Namespace, data: tuple, other: dict[str, tuple]) -> None:
    """A table of the defaults and others beside them: the mean of 5 seeds, 5 divisions."""
    rows: dict[str, dict[str, float]] = {}
    for name, flags in {"from scratch": (), **other}.items():
        found = []
        for seed in range(5):
            own = f"{table}-{name.replace(' ', '-')}-{seed}"
            found.append(tested(trained(options, own, *data, *flags, "--seed", seed)))
            for which, row in means(found).items():
                rows[which if "network" not in which else f"{name}, {which}"] = row
            rows[name] = rows.pop("rnnapps")
            report(table, rows)


def means(found: list[dict]) -> dict[str, dict[str, float]]:
    """The mean accuracy and log loss of the same table of several runs."""
    tables = [measured(one) for one in found]
    return {
        name: {m: statistics.mean(table[name][m] for table in tables) for m in MEASURES[:2]}
        for name in tables[0]
    }


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
    parser.add_argument("--runs", type=Path, required=True)
    options = options_of(parser, ROWS)
    options.runs.mkdir(parents=True, exist_ok=True)
    show_machine()
    for name in options.row or ROWS:
        ROWS[name](options)
