"""The character generator."""

import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from rnnapps import figures
from rnnapps.apps.application import Application
from rnnapps.apps.chargen import answers, data
from rnnapps.apps.chargen.baseline import measure_baselines
from rnnapps.apps.chargen.config import CharGenConfig, PredictOptions
from rnnapps.apps.chargen.metrics import measures
from rnnapps.apps.chargen.mixture import Mixture
from rnnapps.apps.chargen.model import CharNetwork, named_rows
from rnnapps.apps.chargen.parts import TextInParts
from rnnapps.apps.chargen.pipeline import TextGenerator, compiled, serving_spec
from rnnapps.apps.chargen.printing import answer
from rnnapps.apps.chargen.training import train_generator
from rnnapps.apps.trained import Callbacks, Trained
from rnnapps.config import GENERATION
from rnnapps.data import Splits
from rnnapps.decoding import make_options
from rnnapps.progress import working
from rnnapps.serving import ExportSpec
from rnnapps.text import Tokenizer
from rnnapps.training import Rows


class CharGenerator(TextInParts, Application):
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
    objectives: ClassVar = dict.fromkeys(
        ("bits_per_character", "nats_per_character", "perplexity", "loss"), "min"
    )
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

    def _fit(
        self, splits: Splits[data.Text], checkpoint_dir: pathlib.Path, callbacks: Callbacks
    ) -> Trained:
        return train_generator(splits, self.config, self._start, checkpoint_dir, callbacks)

    @functools.cached_property
    def graph(self) -> dict[str, Any]:
        """The generator's functions, each compiled on its first call."""
        return compiled(TextGenerator(self.tokenizer, self._language_model))

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
        stops = answers.make_stops(self.tokenizer, stop)
        prompts = answers.make_prompts(self.tokenizer, inputs)
        if beam_width != 1:
            yield answers.search_texts(self.graph, prompts, length, beam_width, stop)
        else:
            yield from answers.stream_texts(self.graph, prompts, options, stops)

    def score(self, text: str) -> list[tuple[str, float]]:
        """Measures how odd each line of a text is, given all lines before it.

        Args:
            text: The text.

        Returns:
            The lines with their ends, and the bits per character of each.
        """
        return answers.score_lines(self.tokenizer, self.graph, text)

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints texts as they are written, or the bits per character of a file's lines."""
        answer(self, options, as_json)

    def _evaluate(self, splits: Splits[data.Text], part: str, context: int = 256) -> dict[str, Any]:
        """Measures the generator on a part, and baselines beside it.

        Args:
            context: Also measure windows of so many tokens, each without what stands before it.

        Returns:
            What `metrics.measures` returns, with the baselines of `baseline.py` and their curves.
        """
        text, alone = getattr(splits, part), None
        if part == "validation" and not text:
            return {}
        if self._language_model is not self.network:
            alone = compiled(TextGenerator(self.tokenizer, self.network))
        with working(f"predicting the {part} part"):
            found = measures(self.graph, alone, data.encode(self.tokenizer, text), text, context)
        baselines, curves = measure_baselines(splits, part, self.tokenizer)
        found["baselines"] |= baselines
        found["curve"] |= curves
        return found

    def _pairs(self, splits: Splits[data.Text], part: str) -> tuple[data.Text, Any]:
        """The text, and what each of its tokens costs, -log p `(tokens,)`."""
        text = getattr(splits, part)
        return text, answers.token_nats(self.graph, data.encode(self.tokenizer, text))

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
