"""The character generator."""

import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from rnnapps import figures
from rnnapps.apps.application import Application, Callbacks
from rnnapps.apps.chargen import data
from rnnapps.apps.chargen.answers import (
    make_prompts,
    make_stops,
    score_lines,
    search_texts,
    stream_texts,
    token_nats,
)
from rnnapps.apps.chargen.baseline import measure_baselines, measure_short_ngrams
from rnnapps.apps.chargen.config import CharGenConfig, PredictOptions
from rnnapps.apps.chargen.metrics import measures
from rnnapps.apps.chargen.mixture import Mixture
from rnnapps.apps.chargen.model import CharNetwork, named_rows
from rnnapps.apps.chargen.pipeline import TextGenerator, compiled, serving_spec
from rnnapps.apps.chargen.printing import answer
from rnnapps.apps.chargen.training import train_generator
from rnnapps.config import GENERATION
from rnnapps.data import Splits
from rnnapps.data.subset import fewer
from rnnapps.decoding import make_options
from rnnapps.errors import ConfigError
from rnnapps.metrics import language_model
from rnnapps.progress import working
from rnnapps.serving import ExportSpec
from rnnapps.text import Tokenizer
from rnnapps.training import Rows


class CharGenerator(Application):
    r"""Learns a text, and writes more of it: a recurrent language model of characters.

    `fit` and `evaluate` take a text of your own as one string.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.

    Example:
    >>> app = CharGenerator(units=8, epochs=1).fit("the cat sat on the mat\n" * 300)
    >>> [text] = app.predict(["the cat"], length=20, temperature=0.5)
    >>> len(text)
    20
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
    def _language_model(self) -> CharNetwork | Mixture:
        """The network, with the n-grams beside it where there are any."""
        return self.model.layers[-1]

    @property
    def network(self) -> CharNetwork:
        """The recurrent network in the model."""
        return getattr(self._language_model, "network", self._language_model)

    def _rows(self) -> dict[str, Rows]:
        return named_rows(self.network, self.tokenizer.vocabulary)

    def _load(self, train: Any = None, validation: Any = None, test: Any = None) -> Splits[str]:
        if train is None and test is None:
            return data.load_splits(self.config)
        return data.given_splits(self.config, train=train, validation=validation, test=test)

    def _fewer(self, splits: Splits[str]) -> Splits[str]:
        return fewer(splits, self.config, in_order=True)

    def _in_rows(self, splits: Splits[str]) -> Splits[data.Lines]:
        return data.in_lines(splits)

    def _of_rows(self, splits: Splits[data.Lines]) -> Splits[str]:
        return data.of_lines(splits)

    def _fingerprint(self, splits: Splits[str]) -> str:
        return data.fingerprint(splits.train)

    def _fit(self, splits: Splits[str], checkpoint_dir: pathlib.Path, callbacks: Callbacks) -> None:
        self.model, self.history = train_generator(
            splits, self.config, self._start, checkpoint_dir, callbacks
        )

    @functools.cached_property
    def graph(self) -> dict[str, Any]:
        """The generator's functions, each compiled on its first call."""
        return self._graph_of(self._language_model)

    def _graph_of(self, network: CharNetwork | Mixture) -> dict[str, Any]:
        return compiled(TextGenerator(self.tokenizer, network))

    def predict(self, inputs: Sequence[str] | None = None, **options: Any) -> list[str]:
        """Writes on from prompts.

        Args:
            inputs: The prompts; `None` for the first line of the validation part that `fit` was
                given, or of the configuration's test part.
            **options: See `stream`.

        Returns:
            What follows each prompt, without it.

        Raises:
            ConfigError: If an option is out of its range.
        """
        if inputs is None:
            inputs = [data.first_line(self._set_aside().test)]
        pieces = list(self.stream(inputs, **options))
        return ["".join(row) for row in zip(*pieces, strict=True)]

    def stream(
        self,
        inputs: Sequence[str],
        length: int | Sequence[int] = GENERATION.length,
        temperature: float | Sequence[float] = GENERATION.temperature,
        top_k: int | Sequence[int] = GENERATION.top_k,
        top_p: float | Sequence[float] = GENERATION.top_p,
        repetition_penalty: float | Sequence[float] = GENERATION.repetition_penalty,
        seed: int | Sequence[int] = GENERATION.seed,
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
            yield search_texts(self.graph, prompts, length, beam_width, stop)
        else:
            yield from stream_texts(self.graph, prompts, options, stops)

    def score(self, text: str) -> list[tuple[str, float]]:
        """Measures how odd each line of a text is, given all lines before it.

        Args:
            text: The text.

        Returns:
            The lines with their ends, and the bits per character of each.
        """
        return score_lines(self.tokenizer, self.graph, text)

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints texts as they are written, or the bits per character of a file's lines."""
        answer(self, options, as_json)

    def _evaluate(self, splits: Splits[str], part: str, context: int = 256) -> dict[str, Any]:
        """Measures the generator on a part, and baselines beside it.

        Args:
            splits: The parts.
            part: `"validation"` or `"test"`.
            context: Also measure windows of so many tokens, each without what stands before it.

        Returns:
            `nats_per_character`, `bits_per_character` and `perplexity` (of a token), the state
            being carried through the whole text; `nats_per_character_windowed`, of windows of
            `context` tokens; `unknown`, the share of tokens that are not in the vocabulary;
            `baselines` with the same for the network alone, where n-grams are mixed in, for an
            n-gram model and for two compressors; and `curve`, the bits per character along the
            text, of the generator and of the n-gram model.

        Raises:
            ConfigError: If there is to be no context.
            DataError: If the text is empty.
        """
        if context < 1:
            raise ConfigError(f"Expected --context to be at least 1. Received: {context}.")
        text, size = getattr(splits, part), self.tokenizer.vocabulary_size
        if part == "validation" and not text:
            return {}
        ids = data.encode(self.tokenizer, text)
        with working(f"predicting the {part} part"):
            nats = token_nats(self.graph, ids)
            windowed = token_nats(self.graph, ids, min(context, len(ids) - 1))
            mixed = self._language_model is not self.network
            alone = token_nats(self._graph_of(self.network), ids) if mixed else None
        found = {**measures(nats, windowed, ids, text), "baselines": {}}
        if mixed:
            found["baselines"]["network alone"] = language_model(alone, text)
        if splits.train is None:
            return found
        measure = measure_short_ngrams if part == "validation" else measure_baselines
        with working("training the baselines"):
            before = (splits.train, data.encode(self.tokenizer, splits.train))
            baselines, curves = measure(before, (text, ids), size)
        found["baselines"] |= baselines
        return {**found, "curve": {**found["curve"], **curves}}

    def _pairs(self, splits: Splits[str], part: str) -> tuple[str, np.ndarray]:
        """The text, and what each of its tokens costs, -log p `(tokens,)`."""
        text = getattr(splits, part)
        return text, token_nats(self.graph, data.encode(self.tokenizer, text))

    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws the bits per character along the test part."""
        figures.bits_along(found["curve"], folder / "bits_per_character.png")

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signatures are `serving_default` and `generate`, from prompts to what follows them;
        `score`, from texts to bits per character; `start` and `step`, which write token by token
        and keep no state on the server. Texts are UTF-8.
        """
        return serving_spec(TextGenerator(self.tokenizer, self._language_model), self.network)
