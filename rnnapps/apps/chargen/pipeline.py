"""From prompts to generated texts: functions of the graph, and the exported signatures."""

import functools
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from rnnapps.apps.chargen.mixture import Mixture
from rnnapps.apps.chargen.model import CharNetwork
from rnnapps.config import GENERATION
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
from rnnapps.serving import ExportSpec, Signature
from rnnapps.text import (
    PADDING,
    UNKNOWN,
    ByteTokenizer,
    Tokenizer,
    as_utf8,
    limited,
    to_dense,
    whole_characters,
)

_SCORED = 2048  # tokens whose logits are in memory at a time
_LEAST = -20.0  # the log-probability, near enough, of an end that only beam search knows


def build_model(tokenizer: Tokenizer, network: CharNetwork | Mixture) -> keras.Model:
    """Puts the tokenizer before the network.

    Args:
        tokenizer: The adapted tokenizer.
        network: The trained network, or its mixture with n-grams.

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
        network: The network, or its mixture with n-grams.
    """

    def __init__(self, tokenizer: Tokenizer, network: CharNetwork | Mixture):
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
        written = tf.zeros_like(sampled.tokens)  # how many tokens
        state = [*_for_json(sampled.state), written]
        if self.by_bytes:  # and the bytes of a character that is not whole yet
            state.append(tf.zeros([tf.shape(sampled.tokens)[0], 3], tf.int32))
        return {"token": sampled.tokens, **_named(state)}

    def step(self, token, temperature, seed, *state) -> dict:
        """Writes one token: itself, its text, and the state to give to the next step.

        With the same seed at each step, the texts are those of `generate`.
        """
        kinds = [one.dtype for one in self.network.initial_state(0)]
        count = len(kinds)
        state, position, pending = state[:count], state[count], state[count + 1 :]
        one = tf.ones_like(token)
        options = SamplingOptions(one, temperature, 0 * one, tf.ones_like(temperature), None, seed)
        options = checked(options)
        state = [tf.cast(one, kind) for one, kind in zip(state, kinds, strict=True)]
        logits, state = self.next_token(token, state)
        noise = tf.gather(uniform(seed, position), position % BLOCK, batch_dims=1)
        token = sample_token(logits, noise, options, tf.constant(False))
        text = self.tokenizer.detokenize(token[:, None])
        if self.by_bytes:
            text, *pending = whole_characters(pending[0], token)
        return {"token": token, "text": text, **_named([*_for_json(state), position + 1, *pending])}

    # Scores.

    def nats(self, ids: tf.Tensor) -> tf.Tensor:
        """What each token costs, -log p, given those before it: `(batch, time)` of ids alike."""
        rows = tf.shape(ids)[0]
        return self.costs(ids, tf.zeros([rows], tf.int32), self.network.initial_state(rows))[0]

    def costs(self, ids: tf.Tensor, last: tf.Tensor, state: list) -> tuple[tf.Tensor, list]:
        """`nats` behind a token `(batch,)` and the state before it; and the state at the end.

        Logits are in memory for `_SCORED` tokens at a time, over all rows.
        """
        before = tf.concat([last[:, None], ids[:, :-1]], 1)
        size = tf.maximum(_SCORED // tf.maximum(tf.shape(ids)[0], 1), 1)
        network = functools.partial(self.network, training=False)
        return token_costs(network, state, before, ids, size)

    def score(self, text) -> dict:
        """The bits per character of texts `(batch,)`."""
        ids = self.tokenizer(limited(text))
        nats = tf.reduce_sum(tf.where(ids == PADDING, 0.0, self.nats(ids)), axis=1)
        characters = tf.cast(tf.strings.length(as_utf8(text), "UTF8_CHAR"), tf.float32)
        return {"bits_per_character": nats / math.log(2) / tf.maximum(characters, 1.0)}


def compiled(generator: TextGenerator) -> dict[str, Callable]:
    """A generator's functions by name, and its network's first state, each compiled when called."""
    options = {"autograph": False, "reduce_retracing": True}
    functions = (
        generator.prefill, generator.block, generator.search, generator.nats, generator.costs,
        generator.network.initial_state,
    )  # fmt: skip
    return {one.__name__: tf.function(one, **options) for one in functions}


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


def _for_json(state: list) -> list:
    """A state in types that JSON holds: no bfloat16."""
    return [tf.cast(one, tf.float32) if one.dtype.is_floating else one for one in state]


def _named(state: list) -> dict:
    return {f"state_{i}": tensor for i, tensor in enumerate(state)}


def serving_spec(generator: TextGenerator, network: CharNetwork) -> ExportSpec:
    """What an export answers, and what it needs.

    Args:
        generator: What answers.
        network: The network in it.
    """
    numeric = [network.call, network.step]
    return ExportSpec(signatures(generator), numeric, [generator.tokenizer])
