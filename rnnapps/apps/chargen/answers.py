"""Generates and scores texts for Python: strings in, strings and numbers out."""

import codecs
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from rnnapps.apps.chargen.data import to_bytes
from rnnapps.data import texts_given
from rnnapps.decoding import SamplingOptions
from rnnapps.errors import ConfigError
from rnnapps.progress import tracked
from rnnapps.text import Tokenizer, warn_of_unknown

_PART = 2**14  # tokens to score between progress updates
_LONG = 2**20  # tokens, from which on a text is read at several places at once
_STREAMS = 128  # such places
_WARM_UP = 2**12  # tokens before each, from which it has its state
_SEARCHED = 2000  # maximum length of beam search, in tokens
Graph = dict[str, Callable]  # the functions of a `TextGenerator` by name, each compiled


def make_prompts(tokenizer: Tokenizer, inputs: Sequence[str]) -> tf.Tensor:
    """Encodes prompts `(batch,)` as bytes; warns about tokens outside the vocabulary.

    Args:
        tokenizer: The tokenizer.
        inputs: The prompts.

    Returns:
        The string tensor.

    Raises:
        DataError: If `inputs` is a single text instead of a list.
    """
    prompts = [one if isinstance(one, bytes) else to_bytes(one) for one in texts_given(inputs)]
    prompts = tf.constant(prompts, tf.string, [len(prompts)])
    warn_of_unknown(tokenizer, prompts)
    return prompts


def make_stops(tokenizer: Tokenizer, stop: Sequence[str]) -> tf.Tensor:
    """The ids `(stops, n)` of stop texts, left-padded with -1.

    Args:
        tokenizer: The tokenizer.
        stop: The stop texts.

    Returns:
        The int32 ids.

    Raises:
        ConfigError: If one of them is empty.
    """
    if isinstance(stop, str) or "" in stop:
        raise ConfigError(f"Expected --stop to be texts, none empty. Received: {stop!r}.")
    rows = tokenizer.encode([to_bytes(one) for one in stop]).to_list()
    longest = max(map(len, rows), default=0)
    padded = [[-1] * (longest - len(row)) + row for row in rows]
    return tf.constant(padded, tf.int32, [len(rows), longest])


def stream_texts(
    graph: Graph, prompts: tf.Tensor, options: SamplingOptions, stops: tf.Tensor
) -> Iterator[list[str]]:
    """Continues prompts block by block, with bounded memory.

    Args:
        graph: The compiled functions.
        prompts: Strings `(batch,)`.
        options: The sampling options.
        stops: The output of `make_stops`.

    Yields:
        The next piece of each continuation; incomplete characters are held back.
    """
    decoders = [codecs.getincrementaldecoder("utf-8")("replace") for _ in range(len(prompts))]
    sampled = graph["prefill"](prompts, stops)
    ended = not decoders
    while not ended:
        pieces, sampled = graph["block"](sampled, options, stops)
        ended = bool(tf.reduce_all(sampled.done))
        yield [
            decoder.decode(piece, final=ended)
            for decoder, piece in zip(decoders, pieces.numpy(), strict=True)
        ]


def search_texts(
    graph: Graph, prompts: tf.Tensor, length: int, beam_width: int, stop: Sequence[str]
) -> list[str]:
    """The most likely continuations by beam search, each up to its first stop text.

    Args:
        graph: The compiled functions.
        prompts: Strings `(batch,)`.
        length: Number of tokens.
        beam_width: Beam width.
        stop: The stop texts.

    Returns:
        The texts.

    Raises:
        ConfigError: If a number is out of range.
    """
    if not 1 <= beam_width <= 100 or not np.isscalar(length) or not 1 <= length <= _SEARCHED:
        raise ConfigError(
            "Expected --beam-width to be from 1 to 100, with a single --length from 1 to "
            f"{_SEARCHED}. Received: {beam_width} and {length}."
        )
    found = graph["search"](prompts, length, beam_width)
    texts = [text.decode("utf-8", "replace") for text in found.numpy()]
    ends = [[text.find(one) + len(one) for one in stop if one in text] for text in texts]
    return [text[: min(end, default=None)] for text, end in zip(texts, ends, strict=True)]


def token_nats(graph: Graph, ids: np.ndarray, context: int | None = None) -> np.ndarray:
    """The negative log-likelihood of each token, given all or at most `context` previous ones.

    With a context, the text is split into windows of `context + 1` tokens that are scored
    independently, except for their first token. Without, a text of over a million tokens is scored
    from 128 places on, each with a state of the 4,096 tokens before it.

    Args:
        graph: The compiled functions.
        ids: Ids `(tokens,)`.
        context: Maximum number of previous tokens; `None` for all.

    Returns:
        The negative log-likelihoods in nats.
    """
    if not len(ids):
        return np.zeros(0)
    if context is None:
        streams = _STREAMS if len(ids) > _LONG else 1
        begins = np.arange(streams) * -(-len(ids) // streams)
        starts = np.maximum(begins - _WARM_UP, 0)
        ends = np.append(begins[1:], len(ids))
        longest = (ends - starts).max()
        parts = -(-longest * streams // _PART)
        size = -(-longest // parts)  # the last part is filled up: one graph for all
        last, state = tf.zeros([streams], tf.int32), graph["initial_state"](streams)
        costs = np.zeros((streams, parts * size), np.float32)
        for first in tracked(range(0, parts * size, size), "parts"):
            places = np.minimum(starts[:, None] + np.arange(first, first + size), len(ids) - 1)
            part = tf.constant(ids[places].astype(np.int32))  # (streams, size)
            costs[:, first : first + size], state = graph["costs"](part, last, state)
            last = part[:, -1]
        spans = zip(costs, begins - starts, ends - starts, strict=True)
        return np.concatenate([row[begin:end] for row, begin, end in spans])
    count = len(ids) // (context + 1)
    rows = ids[: count * (context + 1)].reshape(count, context + 1)
    firsts = tracked(range(0, count, 64), "batches")
    costs = [graph["nats"](tf.constant(rows[i : i + 64], tf.int32)).numpy() for i in firsts]
    return np.concatenate([cost[:, 1:].reshape(-1) for cost in costs] or [np.zeros(0)])


def score_lines(tokenizer: Tokenizer, graph: Graph, text: str) -> list[tuple[str, float]]:
    """The bits per character of each line, given all previous lines.

    Args:
        tokenizer: The tokenizer.
        graph: The compiled functions.
        text: The text.

    Returns:
        The lines with their line ends, and their bits per character.
    """
    lines = text.splitlines(keepends=True)
    if not lines:
        return []
    ids = tokenizer.encode([to_bytes(line) for line in lines])
    nats = np.split(token_nats(graph, ids.flat_values.numpy()), ids.row_splits.numpy()[1:-1])
    return [
        (line, float(costs.sum() / math.log(2) / len(line)))
        for line, costs in zip(lines, nats, strict=True)
    ]
