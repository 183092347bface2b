"""From prompts to what follows them: functions of the graph, and what of them is exported."""

import codecs
import functools
import math
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.chargen.data import to_bytes
from rnnapps.apps.chargen.model import CharNetwork
from rnnapps.config import GENERATION
from rnnapps.data import texts_given
from rnnapps.decoding import (
    BLOCK,
    SamplingOptions,
    SamplingState,
    beam_search,
    checked,
    no_stop,
    prefill,
    sample,
    sample_block,
    sample_token,
    start_sampling,
    suppressing,
    token_costs,
    uniform,
)
from rnnapps.errors import ConfigError
from rnnapps.progress import tracked
from rnnapps.serving import ExportSpec, Signature
from rnnapps.text import (
    PADDING,
    UNKNOWN,
    ByteTokenizer,
    Tokenizer,
    as_utf8,
    limited,
    to_dense,
    warn_of_unknown,
    whole_characters,
)

_SCORED = 2048  # tokens whose logits are in memory at a time
_SEARCHED = 2000  # tokens that beam search may look for
_LEAST = -20.0  # the log-probability, near enough, of an end that only beam search knows


def build_model(tokenizer: Tokenizer, network: CharNetwork) -> keras.Model:
    """Puts the tokenizer before the network.

    Args:
        tokenizer: The adapted tokenizer.
        network: The trained network.

    Returns:
        A model from texts `(batch,)` to the logits of what follows each of their tokens, `(batch,
        time, vocabulary)`.
    """
    text = keras.Input((), dtype="string", name="text")
    logits, _ = network(tokenizer(text))
    return keras.Model(text, logits, name="generator")


class TextGenerator:
    """Writes with a network and a tokenizer, and scores what is written.

    Texts are string tensors of bytes; a network of bytes may write what is not UTF-8, which
    `generate` and `step` turn into U+FFFD.

    Args:
        tokenizer: The tokenizer.
        network: The network.
    """

    def __init__(self, tokenizer: Tokenizer, network: CharNetwork):
        self.tokenizer, self.network = tokenizer, network
        self.next_token = suppressing(network.step, [PADDING, UNKNOWN], network.vocabulary_size)
        self.by_bytes = isinstance(tokenizer, ByteTokenizer)

    def prefill(self, prompt: tf.Tensor, stop: tf.Tensor | None = None) -> SamplingState:
        """Reads prompts `(batch,)`."""
        ids = self.tokenizer.ids(prompt)
        lengths = tf.ensure_shape(tf.cast(ids.row_lengths(), tf.int32) + 1, prompt.shape)
        ids = tf.pad(to_dense(ids, PADDING), [[0, 0], [1, 0]])  # before each text stands id 0
        ids = tf.ensure_shape(ids, [*prompt.shape, None])
        state = self.network.initial_state(tf.shape(prompt)[0])
        tokens, state = prefill(self.next_token, ids, lengths, state)
        stop = no_stop() if stop is None else stop
        return start_sampling(tokens, state, self.network.vocabulary_size, stop)

    def block(self, sampled: SamplingState, options: SamplingOptions, stop: tf.Tensor) -> tuple:
        """Writes the next `BLOCK` tokens: their bytes `(batch,)`, and the sampled after."""
        tokens, sampled = sample_block(self.next_token, sampled, options, stop)
        return self.tokenizer.detokenize(tokens), sampled

    def generate(self, prompt, length, temperature, top_k, top_p, seed) -> dict:
        """Writes on from prompts `(batch,)`; every other argument is `(batch,)` as well."""
        options = SamplingOptions(length, temperature, top_k, top_p, tf.ones_like(top_p), seed)
        options, sampled = checked(options), self.prefill(limited(prompt))
        tokens = sample(self.next_token, sampled, options, no_stop())
        return {"text": as_utf8(self.tokenizer.detokenize(tokens))}

    def serve(self, prompt) -> dict:
        """`generate` with the settings of `rnnapps predict`."""
        one = tf.ones_like(prompt, tf.int32)
        ratio = tf.ones_like(prompt, tf.float32)
        length, temperature = GENERATION.length * one, GENERATION.temperature * ratio
        top_k, top_p = GENERATION.top_k * one, GENERATION.top_p * ratio
        return self.generate(prompt, length, temperature, top_k, top_p, GENERATION.seed * one)

    def search(self, prompt: tf.Tensor, length: int, beam_width: int) -> tf.Tensor:
        """The likeliest texts `(batch,)` of `length` tokens that beam search finds."""
        sampled = self.prefill(prompt)
        end = tf.range(self.network.vocabulary_size) == PADDING

        def step(tokens, state):
            # The first token that the search gives is the prompt's last instead.
            first, fresh, state = state
            tokens = tf.where(fresh, first, tokens)
            logits, state = self.next_token(tokens, state)
            # An end costs all texts the same, and comes when they have their length.
            ending = tf.reduce_logsumexp(logits, axis=1, keepdims=True) + _LEAST
            return tf.where(end, ending, logits), (first, tf.zeros_like(fresh), state)

        state = (sampled.tokens, tf.ones_like(sampled.tokens, tf.bool), sampled.state)
        lengths = tf.fill(tf.shape(sampled.tokens), length + 1)
        found = beam_search(
            step, state, PADDING, PADDING, lengths, beam_width, min_length=length
        )  # fmt: skip
        return self.tokenizer.detokenize(found.tokens[:, 0])

    # Streaming, with no state on the server.

    def start(self, prompt) -> dict:
        """Reads prompts: the token to give to `step`, and the state before it."""
        sampled = self.prefill(limited(prompt))
        state = [tf.cast(one, tf.float32) for one in sampled.state]  # JSON holds no bfloat16
        state = [*state, tf.zeros_like(sampled.tokens)]  # and how many tokens were written
        if self.by_bytes:  # and the bytes of a character that is not whole yet
            state.append(tf.zeros([tf.shape(sampled.tokens)[0], 3], tf.int32))
        return {"token": sampled.tokens, **_named(state)}

    def step(self, token, temperature, seed, *state) -> dict:
        """Writes one token: itself, its text, and the state to give to the next step.

        With the same seed at each step, the texts are those of `generate`.
        """
        count = len(self.network.state_sizes)
        state, position, pending = state[:count], state[count], state[count + 1 :]
        one = tf.ones_like(token)
        options = SamplingOptions(one, temperature, 0 * one, tf.ones_like(temperature), None, seed)
        options = checked(options)
        state = [tf.cast(one, self.network.compute_dtype) for one in state]
        logits, state = self.next_token(token, state)
        state = [tf.cast(one, tf.float32) for one in state]
        noise = tf.gather(uniform(seed, position), position % BLOCK, batch_dims=1)
        token = sample_token(logits, noise, options, tf.constant(False))
        text = self.tokenizer.detokenize(token[:, None])
        if self.by_bytes:
            text, *pending = whole_characters(pending[0], token)
        return {"token": token, "text": text, **_named([*state, position + 1, *pending])}

    # Scores.

    def nats(self, ids: tf.Tensor) -> tf.Tensor:
        """What each token costs, -log p, given those before it: `(batch, time)` of ids alike.

        Logits are in memory for `_SCORED` tokens at a time, over all rows.
        """
        before = tf.pad(ids[:, :-1], [[0, 0], [1, 0]])
        rows = tf.shape(ids)[0]
        size = tf.maximum(_SCORED // tf.maximum(rows, 1), 1)
        state = self.network.initial_state(rows)
        network = functools.partial(self.network, training=False)
        return token_costs(network, state, before, ids, size)

    def score(self, text) -> dict:
        """The bits per character of texts `(batch,)`."""
        ids = self.tokenizer(limited(text))
        nats = tf.reduce_sum(tf.where(ids == PADDING, 0.0, self.nats(ids)), axis=1)
        characters = tf.cast(tf.strings.length(as_utf8(text), "UTF8_CHAR"), tf.float32)
        return {"bits_per_character": nats / math.log(2) / tf.maximum(characters, 1.0)}


def signatures(generator: TextGenerator) -> dict[str, Signature]:
    """What an export can be asked: functions of a `TextGenerator`, each with an example."""

    def rows(name: str, kind=tf.float32, *shape: int) -> tf.TensorSpec:
        return tf.TensorSpec([None, *shape], kind, name=name)

    sampled = [rows("temperature"), rows("top_k", tf.int32), rows("top_p"), rows("seed", tf.int32)]
    prompt, two = rows("prompt", tf.string), [0, 1]
    example = tf.constant(["", "The"])
    started = generator.start(example)
    state = [tensor for name, tensor in started.items() if name != "token"]
    specs = [rows(f"state_{i}", tensor.dtype, *tensor.shape[1:]) for i, tensor in enumerate(state)]
    numbers = [tf.constant(values) for values in ([40, 9], [0.8, 2.0], [0, 5], [1.0, 0.9], two)]
    return {
        "serving_default": Signature(generator.serve, [prompt], [example]),
        "generate": Signature(
            generator.generate, [prompt, rows("length", tf.int32), *sampled], [example, *numbers]
        ),
        "score": Signature(generator.score, [rows("text", tf.string)], [example]),
        "start": Signature(generator.start, [prompt], [example]),
        "step": Signature(
            generator.step,
            [rows("token", tf.int32), rows("temperature"), rows("seed", tf.int32), *specs],
            [started["token"], numbers[1], numbers[4], *state],
        ),
    }


def _named(state: list) -> dict:
    return {f"state_{i}": tensor for i, tensor in enumerate(state)}


def serving_spec(generator: TextGenerator) -> ExportSpec:
    """What an export answers, and what it needs."""
    network = generator.network
    numeric = [network.call, network.step]
    return ExportSpec(signatures(generator), numeric, [generator.tokenizer])


def make_prompts(tokenizer: Tokenizer, inputs: Sequence[str]) -> tf.Tensor:
    """Prompts `(batch,)` as bytes; warns of tokens that the network does not know.

    Args:
        tokenizer: The tokenizer.
        inputs: The prompts.

    Returns:
        The string tensor.

    Raises:
        DataError: If it is one text instead of a list.
    """
    prompts = [one if isinstance(one, bytes) else to_bytes(one) for one in texts_given(inputs)]
    prompts = tf.constant(prompts, tf.string, [len(prompts)])
    warn_of_unknown(tokenizer, prompts)
    return prompts


def make_stops(tokenizer: Tokenizer, stop: Sequence[str]) -> tf.Tensor:
    """Ids `(stops, n)` of the texts behind which to stop, filled up on the left with -1.

    Args:
        tokenizer: The tokenizer.
        stop: The texts.

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


Graph = dict[str, Callable]  # the functions of a `TextGenerator` by name, each compiled


def stream_texts(
    graph: Graph, prompts: tf.Tensor, options: SamplingOptions, stops: tf.Tensor
) -> Iterator[list[str]]:
    """Writes on from prompts a block at a time, in bounded memory.

    Args:
        graph: The compiled functions.
        prompts: Strings `(batch,)`.
        options: How to draw.
        stops: What `make_stops` returns.

    Yields:
        What comes next behind each prompt; characters whose bytes are not all written wait.
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
    """The likeliest texts behind prompts, each up to the first of the stops.

    Args:
        graph: The compiled functions.
        prompts: Strings `(batch,)`.
        length: Tokens of a text.
        beam_width: Beams of each prompt.
        stop: Texts behind which to stop.

    Returns:
        The texts.

    Raises:
        ConfigError: If a number is out of its range.
    """
    if not 1 <= beam_width <= 100 or not np.isscalar(length) or not 1 <= length <= _SEARCHED:
        raise ConfigError(
            "Expected --beam-width to be from 1 to 100, and with it one --length from 1 to "
            f"{_SEARCHED}. Received: {beam_width} and {length}."
        )
    found = graph["search"](prompts, length, beam_width)
    texts = [text.decode("utf-8", "replace") for text in found.numpy()]
    ends = [[text.find(one) + len(one) for one in stop if one in text] for text in texts]
    return [text[: min(end, default=None)] for text, end in zip(texts, ends, strict=True)]


def token_nats(graph: Graph, ids: np.ndarray, context: int | None = None) -> np.ndarray:
    """What each token costs, given all before it; or `context` tokens at most.

    With a context, the text is cut into windows that are read one by one, and the first token of
    each is not asked for.

    Args:
        graph: The compiled functions.
        ids: Ids `(tokens,)`.
        context: Tokens before each.

    Returns:
        The costs in nats.
    """
    if not len(ids):
        return np.zeros(0)
    if context is None:
        return graph["nats"](tf.constant(ids[None])).numpy()[0]
    count = len(ids) // (context + 1)
    rows = tf.constant(ids[: count * (context + 1)].reshape(count, context + 1))
    firsts = tracked(range(0, count, 64), "batches")
    costs = [graph["nats"](rows[i : i + 64]).numpy() for i in firsts]
    return np.concatenate([cost[:, 1:].reshape(-1) for cost in costs] or [np.zeros(0)])


def score_lines(tokenizer: Tokenizer, graph: Graph, text: str) -> list[tuple[str, float]]:
    """Each line of a text with its bits per character, given all lines before it.

    Args:
        tokenizer: The tokenizer.
        graph: The compiled functions.
        text: The text.

    Returns:
        The lines with their ends, and the bits.
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
