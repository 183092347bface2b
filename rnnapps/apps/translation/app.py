"""The translator."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

from rnnapps import figures
from rnnapps.apps.application import Application
from rnnapps.apps.parts import few
from rnnapps.apps.trained import Callbacks, Trained
from rnnapps.apps.translation import answers, data
from rnnapps.apps.translation.config import PredictOptions, TranslationConfig, check_search
from rnnapps.apps.translation.metrics import measures, middling
from rnnapps.apps.translation.model import EncoderDecoder, named_rows
from rnnapps.apps.translation.pipeline import all_tokens, serving_spec
from rnnapps.apps.translation.printing import answer
from rnnapps.apps.translation.training import train_translator
from rnnapps.data import Pairs, Splits, texts_given
from rnnapps.errors import DataError
from rnnapps.progress import working
from rnnapps.serving import ExportSpec
from rnnapps.text import warn_of_unknown
from rnnapps.training import Rows


class Translator(Application):
    """Turns texts into other texts: a recurrent encoder, and a decoder that attends to it.

    `fit` and `evaluate` take your own pairs as two lists, of the texts and of their translations,
    as a DataFrame whose first two columns they are, or as a `tf.data.Dataset` of such pairs.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.

    Example:
    >>> days = range(1, 31)
    >>> pairs = [f"le {n} mai" for n in days], [f"May {n}" for n in days]
    >>> app = Translator(units=8, embedding_dim=8, epochs=1, tokenizer="word").fit(pairs)
    >>> sorted(app.predict(["le 3 mai"])[0])
    ['n_best', 'score', 'translation']
    """

    name = "translation"
    config_class = TranslationConfig
    config: TranslationConfig
    data_room: ClassVar = data
    objectives: ClassVar = {"bleu": "max", "chrf": "max", "exact_match": "max", "perplexity": "min"}

    @property
    def network(self) -> EncoderDecoder:
        """The recurrent network in the model."""
        return self.model.network

    def _rows(self) -> dict[str, Rows]:
        tokenizers = self.model.source_tokenizer, self.model.target_tokenizer
        return named_rows(self.config, *map(all_tokens, tokenizers))

    def _examples(self, splits: Splits[Pairs]) -> list[str]:
        return few(splits.validation.sources)

    def _fit(
        self, splits: Splits[Pairs], checkpoint_dir: pathlib.Path, callbacks: Callbacks
    ) -> Trained:
        return train_translator(splits, self.config, self._start, checkpoint_dir, callbacks)

    def predict(
        self, inputs: Sequence[str] | None = None, n_best: int = 1, **search: Any
    ) -> list[dict[str, Any]]:
        """Translates texts.

        Args:
            inputs: The texts, in any form that `data.texts_given` takes; `None` for the validation
                part that `fit` was given, or the configuration's test part.
            n_best: How many translations of each to return.
            **search: `beam_width`, `length_penalty`, `coverage_penalty` and `min_length`; by
                default the configuration's.

        Returns:
            For each text `translation` and `score`, and under `n_best` a list of `translation`,
            `score` and `log_probability`, best first.

        Raises:
            ConfigError: If the beam is too narrow.
        """
        check_search(n_best, search)
        inputs = self._set_aside().test.sources if inputs is None else inputs
        texts = texts_given(inputs, self.config.source_column)
        warn_of_unknown(self.model.source_tokenizer, texts)
        return answers.translate(self.model, self.graph, texts, n_best, **search)

    def sample(self, inputs: Sequence[str], temperature: float = 1.0, seed: int = 0) -> list[str]:
        """Draws a translation of each text.

        Args:
            inputs: The texts.
            temperature: Over 0; below 1 likelier tokens become likelier still.
            seed: The first text's seed; the next ones' count on from it.

        Returns:
            The translations.

        Raises:
            ConfigError: If the temperature is not a number over 0, or a seed is no int32.
        """
        return answers.draw(self.model, self.graph, inputs, temperature, seed)

    def score(self, inputs: Sequence[str], translations: Sequence[str]) -> list[float]:
        """Says how likely given translations are.

        Args:
            inputs: The texts.
            translations: A translation of each.

        Returns:
            Their log-probabilities.

        Raises:
            DataError: If there are more texts than translations, or fewer.
        """
        pairs = data.as_pairs((inputs, translations))
        return answers.score(self.model, self.graph, pairs)

    def align(self, inputs: Sequence[str]) -> list[dict[str, Any]]:
        """Translates texts and says which tokens attended to which.

        Args:
            inputs: The texts.

        Returns:
            For each text `source_tokens`, `target_tokens` and `alignment`, the weights
            `(target tokens, source tokens)`.

        Raises:
            RunError: If the network does not attend.
        """
        return answers.align(self.model, self.graph, inputs)

    @functools.cached_property
    def graph(self) -> answers.Graph:
        """What was asked of the model, compiled on its first call."""
        return {}

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints a translation a line, or what else was asked for."""
        answer(self, options, as_json)

    def _evaluate(self, splits: Splits[Pairs], part: str) -> dict[str, Any]:
        """Measures the translator on a part, and a baseline beside it.

        Returns:
            `bleu`, `chrf`, `exact_match` and `perplexity`; `signatures` of the first two;
            `baselines`; and of the test part `by_length`, BLEU by the length of the texts, the
            `best` and `worst` translations, and `examples`, three with their alignments.
        """
        pairs = getattr(splits, part)
        if not len(pairs):
            raise DataError("Expected pairs to measure on. Received: none.")
        with working(f"translating the {part} part"):
            translations = self._translations(pairs)
            perplexity = answers.perplexity(self.model, self.graph, pairs)
        found = measures(splits, part, translations, perplexity, self.config.lowercase)
        if part == "test":
            some = middling(pairs.sources, 3) if self.network.attends else []
            found["examples"] = self.align(some) if some else []
        return found

    def _translations(self, pairs: Pairs) -> list[str]:
        found = answers.translate(self.model, self.graph, pairs.sources)
        return [one["translation"] for one in found]

    def _pairs(self, splits: Splits[Pairs], part: str) -> tuple[list[str], list[str]]:
        """The translations that people wrote, and the model's."""
        pairs = getattr(splits, part)
        return list(pairs.targets), self._translations(pairs)

    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws BLEU by length, and what a few translations attended to."""
        figures.bleu_by_length(found["by_length"], folder / "bleu_by_length.png")
        written = [example for example in found["examples"] if example["target_tokens"]]
        for i, example in enumerate(written, 1):
            figures.attention_map(**example, path=folder / f"attention_{i}.png")

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes `text` and answers `translation` and `score`; `n_best`
        answers as many `translations` and `scores` as the beam is wide; `score` takes `text` and
        `translation` and answers `log_probability`; `align`, where the network attends, answers
        `source_tokens`, `target_tokens` and `alignment`.
        """
        return serving_spec(self.model)
