"""Translations of many texts, in batches of similar length."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rnnapps.apps.translation.pipeline import TEXT, TextTranslator
from rnnapps.data import Pairs
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.progress import tracked
from rnnapps.text import utf8

Graph = dict[Hashable, Callable]  # what was asked of the model, each compiled on its first call
_SEED = tf.TensorSpec((None,), tf.int32, name="seed")
_BATCH = 32
_NEVER = -1e8  # the score of a translation that there is not, where fewer are found than asked for


def translate(
    model: TextTranslator, graph: Graph, inputs: Sequence[str], n_best: int = 1, **search: Any
) -> list[dict[str, Any]]:
    """For each text `translation`, `score`, and under `n_best` all that were found, best first."""

    def find(texts):
        found = model.search(texts, n_best, **search)
        return model.texts(texts, found), found.scores, found.log_probabilities

    answers = []
    for columns in _in_batches(graph, ("search", n_best, *search.items()), find, inputs):
        found = [
            {"translation": _text(text), "score": score, "log_probability": log_p}
            for text, score, log_p in zip(*(one.tolist() for one in columns), strict=True)
            if score > _NEVER
        ]
        first = {name: found[0][name] for name in ("translation", "score")}
        answers.append({**first, "n_best": found})
    return answers


def draw(
    model: TextTranslator, graph: Graph, inputs: Sequence[str], temperature: float, seed: int
) -> list[str]:
    """A translation of each text, drawn; the texts' seeds count on from the first one's."""
    if not 0 < temperature < math.inf:
        raise ConfigError(f"Expected --temperature to be over 0. Received: {temperature}.")
    if not -(2**31) <= seed < 2**31 - len(inputs):
        raise ConfigError(
            f"Expected --seed to be from -2**31 to 2**31 - {len(inputs) + 1}. Received: {seed}."
        )

    def drawn(texts, seeds):
        return [model.draw(texts, tf.constant(temperature, tf.float32), seeds)]

    seeds = range(seed, seed + len(inputs))
    rows = _in_batches(graph, ("draw", temperature), drawn, inputs, seeds)
    return [_text(text) for (text,) in rows]


def score(model: TextTranslator, graph: Graph, pairs: Pairs) -> list[float]:
    """The log-probability of each pair's translation."""

    def scored(texts, translations):
        return [model.score(texts, translations)]

    rows = _in_batches(graph, "score", scored, pairs.sources, pairs.targets)
    return [float(log_p) for (log_p,) in rows]


def perplexity(model: TextTranslator, graph: Graph, pairs: Pairs) -> float:
    """The perplexity of a token of the pairs' translations, and of their ends."""
    measure = model.token_log_probabilities
    rows = _in_batches(graph, "measure", measure, pairs.sources, pairs.targets)
    return math.exp(-np.concatenate([log_p[real] for log_p, real in rows]).mean())


def align(model: TextTranslator, graph: Graph, inputs: Sequence[str]) -> list[dict[str, Any]]:
    """For each text `source_tokens`, `target_tokens`, and the `alignment` between them."""
    if not model.network.attends:
        raise RunError(
            "This network does not attend, so it cannot align; train one with --decoder=attention."
        )

    def aligned(texts):
        return [*model.align(texts).values()]

    answers = []
    for sources, targets, weights in _in_batches(graph, "align", aligned, inputs):
        read, written = ([one.decode() for one in side if one] for side in (sources, targets))
        weights = weights[: len(written), : len(read)].tolist()
        answers.append({"source_tokens": read, "target_tokens": written, "alignment": weights})
    return answers


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _in_batches(
    graph: Graph, key: Hashable, function: Callable, *columns: Sequence[str] | range
) -> Iterator[tuple]:
    """What a function of tensors answers for each row, of rows batched by length.

    Args:
        graph: Where compiled functions are kept, by their keys.
        key: The function's key.
        function: From tensors `(batch,)`, of which texts are strings, to several tensors.
        *columns: The rows' texts and seeds, a column for each argument.

    Returns:
        The answers of each row, in the rows' order.

    Raises:
        DataError: If a column is one text.
    """
    if any(isinstance(column, str) for column in columns):
        raise DataError("Expected a list of texts. Received: one text.")
    numbers = [isinstance(column, range) for column in columns]
    columns = [
        column if number else [utf8(text) for text in column]
        for column, number in zip(columns, numbers, strict=True)
    ]
    if key not in graph:
        specs = [_SEED if number else TEXT for number in numbers]
        graph[key] = tf.function(function, input_signature=specs, autograph=False)
    order = np.argsort([len(text) for text in columns[0]], kind="stable")
    rows: list = [None] * len(order)
    chunks = np.split(order, range(_BATCH, len(order), _BATCH)) if len(order) else []
    for chunk in tracked(chunks, "batches"):
        answer = graph[key](*(tf.constant([column[i] for i in chunk]) for column in columns))
        parts = zip(*(tensor.numpy() for tensor in answer), strict=True)
        for i, row in zip(chunk, parts, strict=True):
            rows[i] = row
    return iter(rows)
