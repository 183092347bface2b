"""Loads and encodes a sentiment classifier's examples."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.starting import names_of
from rnnapps.data import (
    Batches,
    CroppedBatches,
    Examples,
    Splits,
    Table,
    Unlabelled,
    check_known,
    columns_given,
    encode_texts,
    from_table,
    joined,
    load_registered,
    load_tfds,
    make_reviews,
    read_examples,
    read_unlabelled,
    splits,
    stratified_split,
)
from rnnapps.errors import DataError
from rnnapps.text import Tokenizer, make_tokenizer
from rnnapps.training import static_lengths

NAMED = ("sample", "imdb_reviews")


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What a classifier learns from, as its network reads it.

    Args:
        tokenizer: The tokenizer.
        classes: The classes' names.
        ids: The training part's ids, ragged `(texts, time)`.
        labels: Its classes' indices `(texts,)`, or their probabilities `(texts, classes)`.
        held_ids: The validation part's ids.
        held_labels: Its classes' indices.
    """

    tokenizer: Tokenizer
    classes: list[str]
    ids: tf.RaggedTensor
    labels: np.ndarray
    held_ids: tf.RaggedTensor
    held_labels: np.ndarray

    @property
    def soft(self) -> bool:
        """Whether its labels are probabilities."""
        return self.labels.ndim == 2


def load_splits(config: SentimentConfig) -> Splits[Examples]:
    """Loads the configuration's data and divides it.

    A part that the data set itself sets aside stays as it is. Otherwise validation and test are a
    tenth each, with every class in its share.

    Args:
        config: Its `data`, `data_dir`, `text_column`, `label_column`, `seed` and how its table is
            written are read.

    Returns:
        The parts.

    Raises:
        DataError: If the data cannot be read.
    """
    parts = _load(config)
    whole = parts.get("all") or parts["train"]
    divide = functools.partial(split, seed=config.seed)
    train, validation, test = splits.named_splits(parts, divide)
    return Splits(train, validation, test, whole.said)


def given_splits(config: SentimentConfig, **given: Any) -> Splits[Examples]:
    """Divides a person's own examples.

    Args:
        config: The configuration.
        **given: `train`, `validation` and `test`, each as `as_examples` takes it or `None`.

    Returns:
        The parts: `test` alone where it is given.

    Raises:
        DataError: If the examples cannot be read.
    """
    return splits.given_splits(
        functools.partial(as_examples, config=config),
        functools.partial(split, fractions=(0.9, 0.1), seed=config.seed),
        **given,
    )


def split(examples: Examples, fractions: Sequence[float], seed: int) -> list[Examples]:
    """Divides examples into parts with the classes' shares kept."""
    parts = stratified_split(examples.texts, examples.labels, fractions, seed)
    return [examples.take(part) for part in parts]


def as_examples(given: Any, config: SentimentConfig) -> Examples:
    """Examples from what a person has at hand.

    Args:
        given: A pair of texts and labels; a DataFrame with the configuration's `text_column` and
            `label_column`, or the path of such a table; a `tf.data.Dataset` of such pairs, one
            example or one batch at a time; or `Examples`.
        config: The configuration.

    Returns:
        The examples.

    Raises:
        DataError: If texts and labels differ in number, or a label is missing.
    """
    if isinstance(given, Examples):
        return given
    if isinstance(given, pathlib.Path):
        parts = read_examples(given, config.text_column, config.label_column, config)
        return parts["all"] if "all" in parts else parts["train"]
    if isinstance(given, pd.DataFrame):
        return from_table(Table(given), config.text_column, config.label_column, config)
    texts, labels = columns_given(given, (config.text_column, config.label_column), "labels")
    frame = pd.DataFrame({"text": texts, "label": labels}, dtype=object)
    examples = from_table(Table(frame, "the list"), "text", "label", config)
    return dataclasses.replace(examples, said=examples.said[-1:])


def class_names(examples: Examples) -> list[str]:
    """The classes in order: integers by value, anything else by the alphabet."""
    names = set(examples.labels)
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def fingerprint(*parts: Examples) -> str:
    """What tells these examples from any others: a run is only evaluated beside its own."""
    contents = (splits.json_pieces(part.texts, part.labels) for part in parts)
    return splits.fingerprint("texts", *zip(parts, contents, strict=True))


def indices(labels: Sequence[str], classes: Sequence[str], what: str) -> np.ndarray:
    """The classes' indices `(labels,)`; refuses classes that were not trained."""
    place = {name: i for i, name in enumerate(classes)}
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise DataError(f"The {what} part has classes that training lacks: {unknown}.")
    return np.array([place[label] for label in labels], np.int32)


def unlabelled(splits: Splits[Examples], config: SentimentConfig) -> Unlabelled:
    """The configuration's texts without labels, but for those of any part of the data.

    Args:
        splits: The parts.
        config: Its `unlabelled` names them.

    Returns:
        The texts; none where none are named.

    Raises:
        DataError: If they cannot be read, or hold the test part.
    """
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    texts = {name: part.texts for name, part in parts.items() if part is not None}
    return read_unlabelled(config.unlabelled, config.text_column, config, **texts)


def encode(
    splits: Splits[Examples], config: SentimentConfig
) -> tuple[Encoded, tf.RaggedTensor, Unlabelled]:
    """Learns the vocabulary, and turns texts and labels into numbers.

    Args:
        splits: The parts.
        config: Its `tokenizer`, `max_tokens`, `unlabelled` and `init_from` are read.

    Returns:
        The labelled texts; the ids of those without labels, ragged `(texts, time)`; and what was
        read of these.

    Raises:
        DataError: If the validation part has a class of its own, or there are no such texts.
    """
    train, held = splits.train, splits.validation
    classes = class_names(train)
    labels = indices(train.labels, classes, "training")
    held_labels = indices(held.labels, classes, "validation")
    more = unlabelled(splits, config)
    texts = joined(train.texts, more.texts)
    known = names_of(config.init_from, "embedding/*")
    tokenizer = make_tokenizer(config.tokenizer, texts, config.max_tokens, known)
    ids, held_ids = encode_texts(tokenizer, texts), encode_texts(tokenizer, held.texts)
    own, others = (ids[: len(train)] if len(more.texts) else ids), ids[len(train) :]
    return Encoded(tokenizer, classes, own, labels, held_ids, held_labels), others, more


def training_batches(
    parts: Encoded, config: SentimentConfig
) -> tuple[Batches | CroppedBatches, tf.data.Dataset]:
    """Batches of the training part, and of the validation part, by length, cut to `max_length`.

    Those of the training part have another order in each epoch; all have labels of one form.
    """
    lengths = static_lengths(config, config.max_length)
    options = (config.batch_size, config.max_length, lengths)
    batches = Batches(parts.ids, parts.labels, *options, seed=config.seed)
    held_labels = parts.held_labels
    if parts.soft:
        held_labels = np.eye(len(parts.classes))[held_labels]
    held = ordered_batches(parts.held_ids, held_labels, config).one_pass()[0]
    return CroppedBatches(batches, config.crops) if config.crops else batches, held


def ordered_batches(ids: tf.RaggedTensor, labels: np.ndarray, config: SentimentConfig) -> Batches:
    """Batches by length for one pass, cut to `max_length`."""
    lengths = static_lengths(config, config.max_length)
    return Batches(ids, labels, config.batch_size, config.max_length, lengths)


def check_parts(parts: Splits[Examples], where: str) -> None:
    """Refuses data with a single class, or with too few texts to split.

    Args:
        parts: The parts.
        where: Names the data in the message.
    """
    classes = class_names(parts.train)
    if len(classes) < 2:
        raise DataError(
            f"Expected at least two classes. Received: the training part{where}, with only "
            f"{', '.join(classes)}."
        )
    splits.check_divided(parts, "texts of each class", where)


def _load(config: SentimentConfig) -> dict[str, Examples]:
    if (registered := load_registered(config.data)) is not None:
        return {"all": as_examples(registered, config)}
    if config.data == "sample":
        return {"all": Examples(*make_reviews())}
    if config.data == "imdb_reviews":
        loaded = load_tfds("imdb_reviews", ("train", "test"), config.data_dir)
        said = f"imdb_reviews: {len(loaded[0]):,} reviews, and {len(loaded[1]):,} to test on"
        return {
            name: Examples(
                [row["text"].decode() for row in rows],
                [("neg", "pos")[row["label"]] for row in rows],
                (said,),
            )
            for name, rows in zip(("train", "test"), loaded, strict=True)
        }
    check_known(config.data, NAMED, "a file or folder")
    return read_examples(config.data, config.text_column, config.label_column, config)
