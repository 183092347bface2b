"""Texts in, texts out: tokenizer, network, beam search, detokenizer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from rnnapps.apps.translation.model import EncoderDecoder
from rnnapps.decoding import (
    Hypotheses,
    SamplingOptions,
    beam_search,
    sample,
    start_sampling,
    suppressing,
    token_costs,
)
from rnnapps.serving import ExportSpec, Signature
from rnnapps.text import (
    PADDING,
    UNKNOWN,
    SubwordTokenizer,
    Tokenizer,
    WordTokenizer,
    limited,
    to_dense,
)
from rnnapps.text.subword import BOS, EOS

TEXT = tf.TensorSpec((None,), tf.string, name="text")
_TRANSLATION = tf.TensorSpec((None,), tf.string, name="translation")
_SCORED = 64  # tokens of a given translation that are read at a time
_ROOM = 16  # tokens that a Transformer's state holds at first; it grows with the longest one


class SpecialTokens(NamedTuple):
    """The ids before and behind a text, and how many ids there are with them."""

    bos: int
    eos: int
    size: int


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """Those that a tokenizer reserves, or else the two ids after its vocabulary."""
    with tf.init_scope():  # the size is a number, whatever graph is being built
        size = tokenizer.vocabulary_size
    if isinstance(tokenizer, SubwordTokenizer):
        return SpecialTokens(BOS, EOS, size)
    return SpecialTokens(size, size + 1, size + 2)


def all_tokens(tokenizer: Tokenizer) -> list[str]:
    """A vocabulary with the begin and the end of a text, whose ids may come after it."""
    special = special_tokens(tokenizer)
    return [*tokenizer.vocabulary, "<s>", "</s>"][: special.size]


def _bare(tokens: tf.Tensor) -> tf.Tensor:
    """Words without the space before them; a token that is a space stays."""
    bare = tf.strings.strip(tokens)
    return tf.where(bare == "", tokens, bare)


@keras.saving.register_keras_serializable("rnnapps")
class TextTranslator(keras.Model):
    """A model from texts to texts, with everything in the graph.

    Args:
        source_tokenizer: The adapted tokenizer of the texts.
        target_tokenizer: That of the translations; `None` for the same.
        network: The trained network.
        expansion: Tokens that a translation may have for each token of the text; 10 more it may
            have in any case.
        **kwargs: Arguments of `keras.Model`.

    Call arguments:
        texts: Strings `(batch,)`.

    Output:
        `translation`, strings `(batch,)`; `score`, float32 `(batch,)`. A text without any token has
        the empty translation.
    """

    def __init__(
        self,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer | None,
        network: EncoderDecoder,
        expansion: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer or source_tokenizer
        self.joint = target_tokenizer is None
        self.network, self.expansion = network, expansion
        # Only of whole words and characters it is known what an unknown one was.
        subword = isinstance(self.target_tokenizer, SubwordTokenizer)
        self.copies = network.attends and not subword
        self.built = True

    def call(self, texts):
        found = self.search(texts)
        return {"translation": self.texts(texts, found)[:, 0], "score": found.scores[:, 0]}

    def search(
        self,
        texts: tf.Tensor,
        n_best: int = 1,
        beam_width: int | None = None,
        length_penalty: float | None = None,
        coverage_penalty: float | None = None,
        min_length: int | None = None,
    ) -> Hypotheses:
        """Finds the best translations of texts; what is `None` is the configuration's.

        Args:
            texts: Strings `(batch,)`.
            n_best: How many translations of each.
            beam_width: See `decoding.beam_search`, as for the others.
            length_penalty: See there.
            coverage_penalty: See there.
            min_length: See there.

        Returns:
            What was found, best first.
        """
        config = self.network.config
        beam_width = max(config.beam_width, n_best) if beam_width is None else beam_width
        given = (length_penalty, coverage_penalty, min_length)
        length_penalty, coverage_penalty, min_length = (
            getattr(config, name) if value is None else value
            for name, value in zip(
                ("length_penalty", "coverage_penalty", "min_length"), given, strict=True
            )
        )
        ids = self.source_ids(texts)
        step, state, mask = self._stepper(ids, beam_width)
        special = special_tokens(self.target_tokenizer)
        return beam_search(
            step, state, special.bos, special.eos, self.longest(ids), beam_width, n_best,
            length_penalty, coverage_penalty, min_length, lambda state: state["weights"], mask,
            self._never(self.copies), self._reader(texts) if n_best > 1 else None,
        )  # fmt: skip

    def draw(self, texts: tf.Tensor, temperature: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Draws a translation of each text.

        Args:
            texts: Strings `(batch,)`.
            temperature: float32 `()`, over 0.
            seeds: int32 `(batch,)`.

        Returns:
            The translations, strings `(batch,)`.
        """
        ids = self.source_ids(texts)
        step, state, _ = self._stepper(ids, 1)
        special, rows = special_tokens(self.target_tokenizer), tf.shape(ids)[0]
        every, zeros = tf.ones([rows]), tf.zeros([rows], tf.int32)
        stop = tf.constant([[special.eos]])
        options = SamplingOptions(
            self.longest(ids) - 1, every * temperature, zeros, every, every, seeds
        )
        first = start_sampling(tf.fill([rows], special.bos), state, special.size, stop)
        step = suppressing(step, self._never(False), special.size)
        tokens = sample(step, first, options, stop)
        return self.target_tokenizer.detokenize(tf.where(tokens == special.eos, PADDING, tokens))

    def score(self, texts: tf.Tensor, translations: tf.Tensor) -> tf.Tensor:
        """How likely given translations are.

        Args:
            texts: Strings `(batch,)`.
            translations: Strings `(batch,)`.

        Returns:
            Log-probabilities, float32 `(batch,)`.
        """
        log_p, real = self.token_log_probabilities(texts, translations)
        return tf.reduce_sum(tf.where(real, log_p, 0.0), 1)

    def token_log_probabilities(self, texts: tf.Tensor, translations: tf.Tensor) -> tuple:
        """The log-probability of each token of given translations, and of their ends.

        Args:
            texts: Strings `(batch,)`.
            translations: Strings `(batch,)`.

        Returns:
            float32 `(batch, time)`, and which of them there are, bool `(batch, time)`.
        """
        special = special_tokens(self.target_tokenizer)
        targets = self.target_tokenizer.ids(translations)
        one = tf.ones([tf.shape(texts)[0], 1], tf.int32)
        inputs = to_dense(tf.concat([special.bos * one, targets], 1), PADDING)
        outputs = to_dense(tf.concat([targets, special.eos * one], 1), PADDING)  # (batch, time)
        encoded, state = self.network.encode(self.source_ids(texts))

        def read(ids, state):
            return self.network.decode(ids, state, encoded)[:2]

        costs, _ = token_costs(read, state, inputs, outputs, _SCORED)
        return -costs, outputs != PADDING

    def align(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Translates texts and says which token attended to which.

        Args:
            texts: Strings `(batch,)`.

        Returns:
            `source_tokens` `(batch, source_time)` and `target_tokens` `(batch, time)`, strings
            filled up with empty ones; `alignment`, float32 `(batch, time, source_time)`.
        """
        found, source_tokens = self.search(texts), self.source_tokens(texts)
        tokens = self._written(source_tokens, found)[:, 0]
        real = tf.sequence_mask(found.lengths[:, 0], tf.shape(tokens)[1])
        return {
            "source_tokens": _bare(source_tokens),
            "target_tokens": tf.where(real, _bare(tokens), ""),
            "alignment": tf.where(real[..., None], found.alignments[:, 0], 0.0),
        }

    def texts(self, texts: tf.Tensor, found: Hypotheses) -> tf.Tensor:
        """The translations that were found, strings `(batch, n_best)`."""
        return self._reader(texts)(found)

    def _reader(self, texts: tf.Tensor) -> Callable[[Hypotheses], tf.Tensor]:
        """A function from hypotheses about texts to what they read as, `(batch, hypotheses)`."""
        source_tokens = self.source_tokens(texts) if self.copies else None

        def read(found: Hypotheses) -> tf.Tensor:
            shape = tf.shape(found.tokens)
            rows = shape[0] * shape[1]
            if self.copies:
                written = tf.reshape(self._written(source_tokens, found), [rows, shape[2]])
                written = tf.RaggedTensor.from_tensor(written, tf.reshape(found.lengths, [-1]))
                joined = self.target_tokenizer.join(written)
            else:
                tokens = tf.reshape(found.tokens, [rows, shape[2]])
                joined = self.target_tokenizer.detokenize(tokens)
            return tf.strings.strip(tf.reshape(joined, shape[:2]))

        return read

    def _written(self, source_tokens: tf.Tensor | None, found: Hypotheses) -> tf.Tensor:
        """The tokens of what was found as strings `(batch, n_best, time)`."""
        with tf.init_scope():  # the vocabulary of subwords is read from the tokenizer's own graph
            vocabulary = self.target_tokenizer.vocabulary
        strings = tf.gather(tf.constant(vocabulary), found.tokens)
        if not self.copies:
            return strings
        # An unknown token becomes the one that it attended to most.
        place = tf.argmax(found.alignments, -1, tf.int32)
        attended = tf.gather(source_tokens, place, batch_dims=1)
        if isinstance(self.target_tokenizer, WordTokenizer):  # the first word has no space before
            attended = " " + tf.strings.strip(attended)
        return tf.where(found.tokens == UNKNOWN, attended, strings)

    def source_ids(self, texts: tf.Tensor) -> tf.Tensor:
        """The ids that the network reads, int32 `(batch, source_time)`."""
        ids = self.source_tokenizer.ids(texts)[:, : self.network.config.max_length]
        return to_dense(ids, PADDING)

    def source_tokens(self, texts: tf.Tensor) -> tf.Tensor:
        """The tokens that the network reads, strings `(batch, source_time)`."""
        tokens = self.source_tokenizer.tokens(texts)[:, : self.network.config.max_length]
        return to_dense(tokens, "")

    def longest(self, ids: tf.Tensor) -> tf.Tensor:
        """How many tokens, eos included, the translations of ids may have, int32 `(batch,)`."""
        lengths = tf.reduce_sum(tf.cast(ids != PADDING, tf.int32), 1)
        longest = tf.cast(self.expansion * tf.cast(lengths, tf.float32), tf.int32) + 11
        return tf.where(lengths > 0, longest, 1)

    def _stepper(self, ids: tf.Tensor, beam_width: int) -> tuple:
        """The step function of these texts, its first state, and where the texts have tokens."""
        encoded, cells = self.network.encode(ids)
        decoder = self.network.decoder
        grows = self.network.is_transformer  # its state, which is reordered at each step
        if grows:
            cells = decoder.first_state(tf.shape(ids)[0], room=_ROOM)
        wide = tf.nest.map_structure(lambda x: tf.repeat(x, beam_width, 0), encoded)

        def step(tokens, state):
            cells = decoder.make_room(state["cells"]) if grows else state["cells"]
            logits, cells, weights = self.network.decode(tokens[:, None], cells, wide)
            return logits[:, 0], {
                "cells": cells,
                "weights": tf.cast(weights[:, 0], tf.float32),
            }

        weights = tf.zeros_like(ids, tf.float32)
        return step, {"cells": cells, "weights": weights}, encoded.mask

    def _never(self, copies: bool) -> list[int]:
        """The tokens that are not written: unknown ones too, unless words are copied for them."""
        never = [PADDING, special_tokens(self.target_tokenizer).bos]
        return never if copies else [*never, UNKNOWN]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "source_tokenizer": serialize(self.source_tokenizer),
            "target_tokenizer": None if self.joint else serialize(self.target_tokenizer),
            "network": serialize(self.network),
            "expansion": self.expansion,
        }

    @classmethod
    def from_config(cls, config):
        parts = ("source_tokenizer", "target_tokenizer", "network")
        made = {name: keras.saving.deserialize_keras_object(config[name]) for name in parts}
        return cls(**{**config, **made})


def serving_spec(model: TextTranslator) -> ExportSpec:
    """What an export answers; see `Translator.serving_spec`.

    Args:
        model: The translator.

    Returns:
        The signatures, and what they need.
    """
    texts = tf.constant(["Ein Mann, 3. März 2021", ""])

    def translate(text):
        return model(limited(text))

    def n_best(text):
        text = limited(text)
        found = model.search(text, model.network.config.beam_width)
        return {"translations": model.texts(text, found), "scores": found.scores}

    def score(text, translation):
        return {"log_probability": model.score(limited(text), limited(translation))}

    def align(text):
        return model.align(limited(text))

    signatures = {
        "serving_default": Signature(translate, [TEXT], [texts]),
        "n_best": Signature(n_best, [TEXT], [texts]),
        "score": Signature(score, [TEXT, _TRANSLATION], [texts, texts]),
    }
    if model.network.attends:
        signatures["align"] = Signature(align, [TEXT], [texts])
    numeric = [model.network.encode, model.network.decode]
    return ExportSpec(signatures, numeric, [model.source_tokenizer, model.target_tokenizer])
