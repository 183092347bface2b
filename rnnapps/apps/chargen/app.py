"""The character generator."""

import codecs
import dataclasses
import functools
import math
import pathlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from rnnapps import figures, metrics
from rnnapps.apps.application import Application
from rnnapps.apps.chargen import data
from rnnapps.apps.chargen.baseline import KneserNey, compressed_bits
from rnnapps.apps.chargen.config import CharGenConfig, PredictOptions
from rnnapps.apps.chargen.data import encode, make_tokenizer, to_bytes
from rnnapps.apps.chargen.model import StreamedNetwork, build_model, build_network
from rnnapps.apps.chargen.printing import show_scores, show_texts
from rnnapps.apps.chargen.prompting import make_options, make_prompts, make_stops
from rnnapps.apps.chargen.streams import Streams
from rnnapps.apps.chargen.writing import Writer, signatures
from rnnapps.errors import ConfigError, DataError
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec
from rnnapps.standard_input import texts_of
from rnnapps.text import UNKNOWN, Tokenizer
from rnnapps.training import compile_model, fit, make_strategy, precision

ORDER = 6  # of the n-gram baseline
_SEARCHED = 2000  # tokens that beam search may look for


class CharGenerator(Application):
    r"""Learns a text, and writes more of it: a recurrent language model of characters.

    `fit` and `evaluate` take a text of your own as one string.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.

    Example:
    >>> app = CharGenerator(data="tiny_shakespeare", units=384).fit()
    >>> app.predict(["ROMEO:"], length=8, temperature=0.5)
    ['\nI will ']
    """

    name = "chargen"
    config_class = CharGenConfig
    objectives: ClassVar = {
        "bits_per_character": "min",
        "nats_per_character": "min",
        "perplexity": "min",
        "loss": "min",
    }
    config: CharGenConfig

    @property
    def tokenizer(self) -> Tokenizer:
        """Texts to ids."""
        return self.model.get_layer("tokenizer")

    @property
    def network(self) -> keras.Layer:
        """Ids to the next ids' logits."""
        return self.model.get_layer("network")

    # Training.

    def train(self, train: str | None, validation: str | None, state_dir: Any) -> None:
        """Trains on a text; see `fit`, which takes strings."""
        config, strategy = self.config, make_strategy(self.config.strategy)
        train, validation = self._texts(train, validation)
        self.remember(data.fingerprint(train), state_dir)
        with working("reading the text"):
            tokenizer = make_tokenizer(config, train)
            ids, held = encode(tokenizer, train), encode(tokenizer, validation)
        replicas = strategy.num_replicas_in_sync
        streams = self._streams(len(ids), len(held), replicas)
        batches = Streams(ids, streams, config.window, config.seed)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), precision(config.precision):
            network = build_network(config, tokenizer.vocabulary_size)
            streamed = StreamedNetwork(network, streams // replicas)
            compile_model(
                streamed,
                config,
                steps=config.epochs * len(batches),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        stage = state_dir and state_dir / "network"
        seen = Streams(held, streams, config.window).one_pass() if len(held) else None
        self.history = fit(streamed, batches, seen, config, config.epochs, stage, self.callbacks)
        self.model = build_model(tokenizer, network)
        if len(held):
            with working("judging the validation part"):
                found = metrics.language_model(self._nats(held), validation)
                naive = KneserNey(3, tokenizer.vocabulary_size)
                naive.adapt(ids[-(10**6) :])
                judged = metrics.language_model(naive.nats(held), validation)
                self.metrics["validation"] = {**found, "baselines": {"3-gram": judged}}

    def _texts(self, train: str | None, validation: str | None) -> tuple[str, str]:
        if train is None:
            splits = data.load_splits(self.config)
            say(splits.said)
            return splits.train, splits.validation
        if not isinstance(train, str) or not isinstance(validation, str | None):
            raise DataError("Expected one text as a string. Received: something else.")
        if validation is None:
            cut = len(train) - int(len(train) * self.config.validation_share)
            train, validation = train[:cut], train[cut:]
        return train, validation

    def _streams(self, tokens: int, held: int, replicas: int) -> int:
        """How many streams there are: fewer than asked for where the text is short."""
        config = self.config
        most = min(tokens // config.window, held or tokens)
        streams = min(config.batch_size, most) // replicas * replicas
        if not streams:
            raise DataError(
                f"Expected the training part to hold at least {config.window * replicas} "
                f"{config.unit}s (--window, on each device). Received: {tokens}."
            )
        return streams

    # Answers.

    @functools.cached_property
    def graph(self) -> dict[str, Any]:
        """The writer's functions, each compiled on its first call."""
        writer = Writer(self.tokenizer, self.network)
        options = {"autograph": False, "reduce_retracing": True}
        functions = (writer.begin, writer.block, writer.search, writer.nats)
        return {one.__name__: tf.function(one, **options) for one in functions}

    def predict(self, inputs: Sequence[str], **options: Any) -> list[str]:
        """Writes on from prompts.

        Args:
            inputs: The prompts.
            **options: See `stream`.

        Returns:
            What follows each prompt, without it.

        Raises:
            ConfigError: If an option is out of its range.
        """
        pieces = list(self.stream(inputs, **options))
        return ["".join(row) for row in zip(*pieces, strict=True)]

    def stream(
        self,
        inputs: Sequence[str],
        length: int | Sequence[int] = 400,
        temperature: float | Sequence[float] = 0.8,
        top_k: int | Sequence[int] = 0,
        top_p: float | Sequence[float] = 1.0,
        repetition_penalty: float | Sequence[float] = 1.0,
        seed: int | Sequence[int] = 0,
        stop: Sequence[str] = (),
        beam_width: int = 1,
    ) -> Iterator[list[str]]:
        """Writes on from prompts, a few tokens at a time, in bounded memory.

        Numbers are for all prompts, or one for each.

        Args:
            inputs: The prompts.
            length: Tokens to write, at most.
            temperature: Over 1 bolder than the model, under 1 more careful.
            top_k: Choose among so many of the likeliest tokens: 1 is greedy, 0 is all.
            top_p: Choose among the likeliest tokens that together have this probability.
            repetition_penalty: Over 1, tokens that were written before become less likely.
            seed: Of each prompt's text; a single number is the first one's, and the next ones
                count on from it.
            stop: Texts behind which to stop, cut into tokens as the tokenizer does it.
            beam_width: Over 1, search for the likeliest text with so many beams instead; then
                there is one piece, and the options between `length` and `stop` mean nothing.

        Yields:
            What comes next behind each prompt.

        Raises:
            ConfigError: If an option is out of its range.
        """
        numbers = (length, temperature, top_k, top_p, repetition_penalty, seed)
        options = make_options(len(inputs), *numbers)
        stops = make_stops(self.tokenizer, stop)
        prompts = make_prompts(self.tokenizer, inputs)
        if beam_width != 1:
            yield self._search(prompts, length, beam_width, stop)
            return
        decoders = [codecs.getincrementaldecoder("utf-8")("replace") for _ in inputs]
        draft = self.graph["begin"](prompts, stops)
        ended = not decoders
        while not ended:
            pieces, draft = self.graph["block"](draft, options, stops)
            ended = bool(tf.reduce_all(draft.done))
            yield [
                decoder.decode(piece, final=ended)
                for decoder, piece in zip(decoders, pieces.numpy(), strict=True)
            ]

    def _search(self, prompts: tf.Tensor, length: int, beam_width: int, stop) -> list[str]:
        if not 1 <= beam_width <= 100 or not np.isscalar(length) or not 1 <= length <= _SEARCHED:
            raise ConfigError(
                "Expected --beam-width to be from 1 to 100, and with it one --length from 1 to "
                f"{_SEARCHED}. Received: {beam_width} and {length}."
            )
        found = self.graph["search"](prompts, length, beam_width)
        texts = [text.decode("utf-8", "replace") for text in found.numpy()]
        ends = [[text.find(one) + len(one) for one in stop if one in text] for text in texts]
        return [text[: min(end, default=None)] for text, end in zip(texts, ends, strict=True)]

    def score(self, text: str) -> list[tuple[str, float]]:
        """Measures how odd each line of a text is, given all lines before it.

        Args:
            text: The text.

        Returns:
            The lines with their ends, and the bits per character of each.
        """
        lines = text.splitlines(keepends=True)
        if not lines:
            return []
        ids = self.tokenizer.encode([to_bytes(line) for line in lines])
        nats = np.split(self._nats(ids.flat_values.numpy()), ids.row_splits.numpy()[1:-1])
        return [
            (line, float(costs.sum() / math.log(2) / len(line)))
            for line, costs in zip(lines, nats, strict=True)
        ]

    def _nats(self, ids: np.ndarray, context: int | None = None) -> np.ndarray:
        """What each token costs, given all before it; or `context` tokens at most.

        With a context, the text is cut into windows that are read one by one, and the first token
        of each is not asked for.
        """
        if not len(ids):
            return np.zeros(0)
        if context is None:
            return self.graph["nats"](tf.constant(ids[None])).numpy()[0]
        count = len(ids) // (context + 1)
        rows = tf.constant(ids[: count * (context + 1)].reshape(count, context + 1))
        costs = [self.graph["nats"](rows[i : i + 64]).numpy() for i in range(0, count, 64)]
        return np.concatenate([cost[:, 1:].reshape(-1) for cost in costs] or [np.zeros(0)])

    def respond(self, options: PredictOptions, as_json: bool) -> None:
        """Prints texts as they are written, or the bits per character of a file's lines."""
        with warnings.catch_warnings(action="always"):
            warnings.showwarning = lambda said, *_: print(f"rnnapps: {said}", file=sys.stderr)
            settings = dataclasses.asdict(options)
            prompts, file = settings.pop("text"), settings.pop("score")
            if file is None:
                show_texts(self, list(prompts) or texts_of(()), settings, as_json)
            else:
                text = data.read_file(file, self.config, "replace")
                show_scores(self.score(text), as_json)

    # Measures.

    def validate(self) -> dict[str, Any]:
        """Measures the network on the configuration's validation part, without baselines."""
        splits = data.load_splits(self.config)
        self.recognise(data.fingerprint(splits.train))
        return self.measure(splits.validation)

    def measure(self, test: str | None, context: int = 256) -> dict[str, Any]:
        """Measures the network on a text it has not seen, and the baselines beside it.

        Args:
            test: The text; `None` for the configuration's test part.
            context: Also measure windows of so many tokens, each without what stands before it.

        Returns:
            `nats_per_character`, `bits_per_character` and `perplexity` (of a token), the state
            being carried through the whole text; `nats_per_character_windowed`, of windows of
            `context` tokens; `unknown`, the share of tokens that are not in the vocabulary;
            `baselines` with the same for an n-gram model and two compressors; and `curve`, the
            bits per character along the text, of the network and of the n-gram model.

        Raises:
            ConfigError: If there is to be no context.
            DataError: If the text is empty.
            RunError: If the configuration's data is no longer what the network was trained on.
        """
        if context < 1:
            raise ConfigError(f"Expected --context to be at least 1. Received: {context}.")
        splits = data.load_splits(self.config) if test is None else None
        if splits:
            self.recognise(data.fingerprint(splits.train))
        test = splits.test if splits else test
        if not isinstance(test, str) or not test:
            raise DataError("Expected a text to measure on, as a string. Received: none.")
        ids = encode(self.tokenizer, test)
        with working("judging the test part"):
            nats = self._nats(ids)
            windowed = self._nats(ids, min(context, len(ids) - 1))
        found = metrics.language_model(nats, test)
        if len(windowed):
            share = len(ids) / len(test)  # tokens of a character
            found["nats_per_character_windowed"] = float(windowed.mean() * share)
        found["unknown"] = float(np.mean(ids == UNKNOWN))
        found["characters"] = len(test)
        found["curve"] = {"rnnapps": metrics.bits_along(nats, test)}
        found["baselines"] = {}
        if splits:
            with working("training the baselines"):
                self._baselines(splits, ids, found)
        return found

    def _baselines(self, splits: data.Splits, ids: np.ndarray, found: dict) -> None:
        ngrams = KneserNey(ORDER, self.tokenizer.vocabulary_size)
        ngrams.adapt(encode(self.tokenizer, splits.train))
        nats, name = ngrams.nats(ids), f"Kneser-Ney {ORDER}-gram"
        found["baselines"][name] = metrics.language_model(nats, splits.test)
        found["curve"][name] = metrics.bits_along(nats, splits.test)
        bits = compressed_bits(to_bytes(splits.train), to_bytes(splits.test))
        for name, total in bits.items():
            each = total / len(splits.test)
            found["baselines"][name] = {
                "nats_per_character": each * math.log(2),
                "bits_per_character": each,
            }

    def draw(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws what `evaluate` found: the bits per character along the test part."""
        figures.bits_along(found["curve"], folder / "bits_per_character.png")

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signatures are those of `Writer`: `serving_default` and `generate`, from prompts to
        what follows them; `score`, from texts to bits per character; `start` and `step`, which
        write token by token and keep no state on the server. Texts are UTF-8.
        """
        writer = Writer(self.tokenizer, self.network)
        return ExportSpec(
            signatures(writer), [self.network.call, self.network.step], [self.tokenizer]
        )
