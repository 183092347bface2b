"""Embeddings initialized from word vectors: of their width, with a row for each known word."""

import itertools
import pathlib
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.errors import ConfigError, DataError, flag
from rnnapps.files import check_there
from rnnapps.progress import say, working
from rnnapps.text.tokenizer import Tokenizer
from rnnapps.text.vectors import read_vectors, vectors_width
from rnnapps.text.word import WordTokenizer

Options = TypeVar("Options", bound=TrainingConfig)


def at_width_of_vectors(config: Options) -> Options:
    """Sets a configuration's embedding width to that of its word vectors.

    Args:
        config: The configuration.

    Returns:
        The configuration; with vector files and default `embedding_dim`, with the files' width.

    Raises:
        DataError: If a file cannot be read.
        ConfigError: If the widths contradict each other.
    """
    for name, path in config.vector_files.items():
        check_there(path, name)
    widths = {name: vectors_width(path) for name, path in config.vector_files.items()}
    for (one, width), (other, its) in itertools.pairwise(widths.items()):
        if width != its:
            raise ConfigError(
                f"Expected {flag(other)} to be of width {width}, as {flag(one)} is. Received: "
                f"{config.vector_files[other]}, of {its}."
            )
    for name, width in widths.items():
        received = config.embedding_dim
        if width != received:
            if received != type(config).model_fields["embedding_dim"].default:
                raise ConfigError(
                    f"Expected {flag(name)} to be of width {received}, as --embedding-dim says, or "
                    f"--embedding-dim={width}. Received: {config.vector_files[name]}, of {width}."
                )
            say([f"embedding_dim is {width}, the width of {config.vector_files[name]}"])
            config = config.model_copy(update={"embedding_dim": width})
    return config


def start_from_vectors(
    embedding: keras.layers.Embedding,
    tokenizer: Tokenizer,
    ids: tf.RaggedTensor | np.ndarray,
    path: pathlib.Path | None,
    frozen: bool = False,
    any_case: bool = False,
) -> None:
    """Initializes an embedding from a file of word vectors, and reports the coverage.

    Rows of tokens missing in the file stay random, scaled to the file's standard deviation.

    Args:
        embedding: The built layer, of a model that is not yet compiled.
        tokenizer: Its tokenizer; rows after the vocabulary belong to no word.
        ids: The training text's ids.
        path: The file; `None` keeps the weights, such as those of a previous run.
        frozen: Whether to freeze the embedding.
        any_case: Whether a word that the file lacks takes the vector of one that differs in case;
            lower-cased words always do.

    Raises:
        DataError: If tokens are not words, or the file cannot be read or has none of them.
    """
    if frozen:
        embedding.trainable = False
    if path is None:
        return
    if not isinstance(tokenizer, WordTokenizer):
        raise DataError(
            f"Expected words with vectors ({path}). Received: a text of a script without spaces, "
            "of which --tokenizer=auto made characters; leave --vectors out, or say "
            "--tokenizer=word."
        )
    with working("reading the vectors"):
        rows, found = read_vectors(path, tokenizer.vocabulary, tokenizer.lower or any_case)
    words = found[2:]  # after padding and unknown
    if not words.any():
        raise DataError(f"{path} has none of the training text's {len(words):,} words.")
    table = np.array(keras.ops.convert_to_numpy(embedding.embeddings))  # (ids, width)
    table *= rows[found].std() / max(table.std(), np.finfo(np.float32).tiny)
    table[: len(found)][found] = rows[found]
    embedding.embeddings.assign(table)
    seen = np.append(found, np.zeros(len(table) - len(found), bool))[np.ravel(_flat(ids))]
    say([
        f"{path} has {words.sum():,} of {len(words):,} words ({words.mean():.1%}), which are "
        f"{seen.mean():.1%} of the training text's tokens"
    ])  # fmt: skip


def _flat(ids: tf.RaggedTensor | np.ndarray) -> np.ndarray:
    return ids.flat_values.numpy() if isinstance(ids, tf.RaggedTensor) else ids
