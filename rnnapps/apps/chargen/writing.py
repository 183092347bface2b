"""What a character generator does, as functions of the graph: they are what is exported, too."""

import functools
import math

import tensorflow as tf

from rnnapps.apps.chargen.model import CharNetwork, next_token
from rnnapps.decoding import (
    BLOCK,
    Draft,
    Options,
    beam_search,
    begin,
    choose,
    read,
    sample,
    sample_block,
    token_costs,
    uniform,
)
from rnnapps.serving import Signature
from rnnapps.text import PADDING, ByteTokenizer, Tokenizer, to_dense

NO_STOP = tf.zeros([0, 0], tf.int32)
_SCORED = 2048  # tokens whose logits are in memory at a time
_LEAST = -20.0  # the log-probability, near enough, of an end that only beam search knows


class Writer:
    """Writes with a network and a tokenizer, and scores what is written.

    Texts are string tensors of bytes; a network of bytes may write what is not UTF-8, which
    `generate` and `step` turn into U+FFFD.

    Args:
        tokenizer: The tokenizer.
        network: The network.
    """

    def __init__(self, tokenizer: Tokenizer, network: CharNetwork):
        self.tokenizer, self.network = tokenizer, network
        self.next_token = next_token(network)
        self.by_bytes = isinstance(tokenizer, ByteTokenizer)

    def begin(self, prompt: tf.Tensor, stop: tf.Tensor = NO_STOP) -> Draft:
        """Reads prompts `(batch,)`."""
        ids = self.tokenizer.ids(prompt)
        lengths = tf.ensure_shape(tf.cast(ids.row_lengths(), tf.int32) + 1, prompt.shape)
        ids = tf.pad(to_dense(ids, PADDING), [[0, 0], [1, 0]])  # before each text stands id 0
        ids = tf.ensure_shape(ids, [*prompt.shape, None])
        state = self.network.initial_state(tf.shape(prompt)[0])
        tokens, state = read(self.next_token, ids, lengths, state)
        return begin(tokens, state, self.network.vocabulary_size, stop)

    def block(self, draft: Draft, options: Options, stop: tf.Tensor) -> tuple:
        """Writes the next `BLOCK` tokens: their bytes `(batch,)`, and the draft after."""
        tokens, draft = sample_block(self.next_token, draft, options, stop)
        return self.tokenizer.detokenize(tokens), draft

    def generate(self, prompt, length, temperature, top_k, top_p, seed) -> dict:
        """Writes on from prompts `(batch,)`; every other argument is `(batch,)` as well."""
        options = Options(length, temperature, top_k, top_p, tf.ones_like(top_p), seed)
        with tf.control_dependencies(_checks(options)):
            draft = self.begin(tf.identity(prompt))
        tokens = sample(self.next_token, draft, options, NO_STOP)
        return {"text": _utf8(self.tokenizer.detokenize(tokens))}

    def serve(self, prompt) -> dict:
        """`generate` with the settings of `rnnapps predict`: 400 tokens, temperature 0.8."""
        one = tf.ones_like(prompt, tf.int32)
        ratio = tf.ones_like(prompt, tf.float32)
        return self.generate(prompt, 400 * one, 0.8 * ratio, 0 * one, ratio, 0 * one)

    def search(self, prompt: tf.Tensor, length: int, beam_width: int) -> tf.Tensor:
        """The likeliest texts `(batch,)` of `length` tokens that beam search finds."""
        draft = self.begin(prompt)
        end = tf.range(self.network.vocabulary_size) == PADDING

        def step(tokens, state):
            # The first token that the search gives is the prompt's last instead.
            first, fresh, state = state
            tokens = tf.where(fresh, first, tokens)
            logits, state = self.next_token(tokens, state)
            # An end costs all texts the same, and comes when they have their length.
            ending = tf.reduce_logsumexp(logits, axis=1, keepdims=True) + _LEAST
            return tf.where(end, ending, logits), (first, tf.zeros_like(fresh), state)

        state = (draft.tokens, tf.ones_like(draft.tokens, tf.bool), draft.state)
        lengths = tf.fill(tf.shape(draft.tokens), length + 1)
        found = beam_search(
            step, state, PADDING, PADDING, lengths, beam_width, min_length=length
        )  # fmt: skip
        return self.tokenizer.detokenize(found.tokens[:, 0])

    # Streaming, with no state on the server.

    def start(self, prompt) -> dict:
        """Reads prompts: the token to give to `step`, and the state before it."""
        draft = self.begin(prompt)
        state = [*draft.state, tf.zeros_like(draft.tokens)]  # and how many tokens were written
        if self.by_bytes:  # and the bytes of a character that is not whole yet
            state.append(tf.zeros([tf.shape(draft.tokens)[0], 3], tf.int32))
        return {"token": draft.tokens, **_named(state)}

    def step(self, token, temperature, seed, *state) -> dict:
        """Writes one token: itself, its text, and the state to give to the next step.

        With the same seed at each step, the texts are those of `generate`.
        """
        count = len(self.network.state_sizes)
        state, position, pending = state[:count], state[count], state[count + 1 :]
        one = tf.ones_like(token)
        options = Options(one, temperature, 0 * one, tf.ones_like(temperature), None, seed)
        with tf.control_dependencies(_checks(options)):
            logits, state = self.next_token(tf.identity(token), list(state))
        noise = tf.gather(uniform(seed, position), position % BLOCK, batch_dims=1)
        token = choose(logits, noise, options, tf.constant(False))
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
        ids = self.tokenizer(text)
        nats = tf.reduce_sum(tf.where(ids == PADDING, 0.0, self.nats(ids)), axis=1)
        characters = tf.cast(tf.strings.length(_utf8(text), "UTF8_CHAR"), tf.float32)
        return {"bits_per_character": nats / math.log(2) / tf.maximum(characters, 1.0)}


def signatures(writer: Writer) -> dict[str, Signature]:
    """What an export can be asked; each function of a `Writer` with its inputs and an example."""

    def rows(name: str, kind=tf.float32, *shape: int) -> tf.TensorSpec:
        return tf.TensorSpec([None, *shape], kind, name=name)

    sampled = [rows("temperature"), rows("top_k", tf.int32), rows("top_p"), rows("seed", tf.int32)]
    prompt, two = rows("prompt", tf.string), [0, 1]
    example = tf.constant(["", "The"])
    started = writer.start(example)
    state = [tensor for name, tensor in started.items() if name != "token"]
    specs = [rows(f"state_{i}", tensor.dtype, *tensor.shape[1:]) for i, tensor in enumerate(state)]
    numbers = [tf.constant(values) for values in ([40, 9], [0.8, 2.0], [0, 5], [1.0, 0.9], two)]
    return {
        "serving_default": Signature(writer.serve, [prompt], [example]),
        "generate": Signature(
            writer.generate, [prompt, rows("length", tf.int32), *sampled], [example, *numbers]
        ),
        "score": Signature(writer.score, [rows("text", tf.string)], [example]),
        "start": Signature(writer.start, [prompt], [example]),
        "step": Signature(
            writer.step,
            [rows("token", tf.int32), rows("temperature"), rows("seed", tf.int32), *specs],
            [started["token"], numbers[1], numbers[4], *state],
        ),
    }


def whole_characters(pending: tf.Tensor, token: tf.Tensor) -> tuple:
    """Holds the bytes of a UTF-8 character back until it is whole.

    What can become no character is given as U+FFFD as soon as that is known.

    Args:
        pending: int32 ids of the bytes held back `(batch, 3)`, filled up on the left with 0.
        token: int32 ids of the next bytes `(batch,)`.

    Returns:
        The text that is whole now `(batch,)`, often empty, and the bytes held back.
    """
    byte = token - 2  # (batch,)
    goes_on = (byte >= 0x80) & (byte < 0xC0)
    lead = tf.gather(
        tf.concat([pending, token[:, None]], 1) - 2,
        3 - tf.math.count_nonzero(pending, 1, dtype=tf.int32) * tf.cast(goes_on, tf.int32),
        batch_dims=1,
    )  # the first byte of the character that this one belongs to
    size = tf.where(lead < 0xC2, 1, tf.where(lead < 0xE0, 2, tf.where(lead < 0xF0, 3, 4)))
    size = tf.where(lead > 0xF4, 1, size)
    broken = tf.where(goes_on[:, None], 0, pending)  # a new character begins before its end
    held = tf.where(goes_on[:, None], pending, 0)
    count = 1 + tf.math.count_nonzero(held, 1, dtype=tf.int32)
    whole = (count >= size)[:, None]
    held = tf.concat([held, token[:, None]], 1)  # (batch, 4)
    given = tf.concat([broken, tf.where(whole, held, 0)], 1)  # (batch, 7)
    tokenizer = ByteTokenizer()
    return _utf8(tokenizer.detokenize(given)), tf.where(whole, 0, held[:, 1:])


def _utf8(text: tf.Tensor) -> tf.Tensor:
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")


def _named(state: list) -> dict:
    return {f"state_{i}": tensor for i, tensor in enumerate(state)}


def _checks(options: Options) -> list:
    """Assertions, for requests to a server."""
    finite = tf.math.is_finite(options.temperature) & (options.temperature > 0)
    share = (options.top_p > 0) & (options.top_p <= 1)
    expected = {
        "Expected every length to be at least 0.": options.length >= 0,
        "Expected every temperature to be a positive number.": finite,
        "Expected every top_k to be at least 0.": options.top_k >= 0,
        "Expected every top_p to be over 0 and at most 1.": share,
    }
    return [tf.debugging.Assert(tf.reduce_all(fine), [said]) for said, fine in expected.items()]
