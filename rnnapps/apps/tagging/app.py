"""The tagger."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from rnnapps import figures
from rnnapps.apps.application import Application
from rnnapps.apps.parts import few
from rnnapps.apps.tagging import data
from rnnapps.apps.tagging.answers import TagsFound, answer_of, tags_of_tokens
from rnnapps.apps.tagging.baseline import baselines
from rnnapps.apps.tagging.config import PredictOptions, TaggingConfig
from rnnapps.apps.tagging.metrics import confusion, measures, mistakes
from rnnapps.apps.tagging.model import named_rows
from rnnapps.apps.tagging.pipeline import (
    TOKENS,
    build_encoder,
    networks_of,
    serving_spec,
    tag_tokens,
)
from rnnapps.apps.tagging.printing import print_predictions
from rnnapps.apps.tagging.training import train_tagger
from rnnapps.apps.trained import Callbacks, Trained
from rnnapps.data import Splits, Tagged
from rnnapps.progress import working
from rnnapps.serving import ExportSpec
from rnnapps.spans import Scheme, written_in
from rnnapps.standard_input import batches_of
from rnnapps.training import Rows


class Tagger(Application):
    """Sequence labelling, such as named entity recognition: a recurrent network with a CRF.

    `fit` and `evaluate` take your own sentences as a pair of tokens and tags, each with one list
    per sentence (`fit(tokens, labels=tags)`), as a DataFrame with one token per row and the
    configuration's `sentence_column`, or as the `Path` of a file.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of range.

    Example:
    >>> names = ["Ada", "Bob", "Eve", "Max"]
    >>> tokens = [[a, "met", b, str(n)] for n in range(20) for a in names for b in names]
    >>> app = Tagger(epochs=4, units=16, learning_rate=2e-2, dropout=0.1)
    >>> app = app.fit(tokens, labels=[["B-name", "O", "B-name", "O"]] * 320)
    >>> [span["text"] for span in app.predict(["Ada met Max 3"])[0]["spans"]]
    ['Ada', 'Max']
    """

    name = "tagging"
    config_class = TaggingConfig
    data_room: ClassVar = data
    objectives: ClassVar = {
        "f1": "max", "accuracy": "max", "precision": "max", "recall": "max", "loss": "min",
    }  # fmt: skip
    config: TaggingConfig

    @property
    def tags(self) -> list[str]:
        """The tag names, in the order of the scores."""
        return list(self.model.get_layer("tags").tags)

    @property
    def networks(self) -> list[keras.Model]:
        """The networks of the ensemble."""
        return networks_of(self.network)

    @property
    def encoder(self) -> keras.Model:
        """The encoder, for your own models: strings to hidden states.

        A model from strings `(batch,)` to hidden states `(batch, time, features)`, with a token
        mask. It shares its layers with the tagger, in an ensemble with the first network.
        """
        layers = (self.model.get_layer(name) for name in ("tokenizer", "encoder"))
        return build_encoder(*layers, self.networks[0])

    @functools.cached_property
    def graph(self) -> tf.types.experimental.PolymorphicFunction:
        """Maps tokens to tags and their probabilities; compiled on its first call."""
        tag = functools.partial(tag_tokens, self.model)
        return tf.function(tag, input_signature=[TOKENS], autograph=False)

    def _rows(self) -> dict[str, Rows]:
        layers = {layer.name: layer for layer in self.model.layers}
        tags = layers["tags"].tags if "tags" in layers else []
        encoder = layers["encoder"]
        return named_rows(encoder.words.vocabulary, encoder.characters.vocabulary, tags)

    def _settled(self) -> dict[str, Any]:
        kind = self.model.get_layer("tokenizer").kind  # as detected
        found = data.decided(self.config, kind)
        settled = {name: getattr(found, name) for name in data.BY_KIND}
        return {**super()._settled(), "tokenizer": kind, **settled}

    def _examples(self, splits: Splits[Tagged]) -> list[str]:
        return few(map(" ".join, splits.validation.tokens))

    def _fit(
        self, splits: Splits[Tagged], checkpoint_dir: pathlib.Path, callbacks: Callbacks
    ) -> Trained:
        return train_tagger(splits, self.config, self._start, checkpoint_dir, callbacks)

    def predict(
        self, inputs: Sequence[str] | None = None, tokens: bool = False
    ) -> list[dict[str, Any]]:
        """Tags the tokens of each text.

        Args:
            inputs: The texts, in any form that `data.texts_given` accepts; or lists of tokens;
                `None` for the validation set given to `fit`, or the configuration's test set.
            tokens: Whether texts are already tokenized, with spaces between tokens.

        Returns:
            For each text `tokens`, `tags` and their `probabilities`; and if the tags mark spans,
            `spans`: `start` and `end` in characters, `label`, `text` and `probability`, that of
            the span's least likely tag.

        Raises:
            DataError: If `inputs` is anything else, such as a single text, or there is no such set.
        """
        self._check_head()
        inputs = [*self._set_aside().test.tokens] if inputs is None else inputs
        tokenizer, column = self.model.get_layer("tokenizer"), self.config.text_column
        texts, cut = data.cut_inputs(inputs, tokens, tokenizer, column)
        found = self._tag([words for words, _ in cut])
        rows = zip(texts, cut, found.tags, found.probabilities, strict=True)
        spans = bool(written_in(self.tags))
        return [answer_of(text, *one, tags, p, spans) for text, one, tags, p in rows]

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints one prediction per line."""
        for texts in batches_of(options.text):
            print_predictions(texts, self.predict(texts, options.tokens), as_json)

    def _tag(self, sentences: Sequence[Sequence[str]]) -> TagsFound:
        return tags_of_tokens(self.graph, sentences)

    def _evaluate(self, splits: Splits[Tagged], part: str) -> dict[str, Any]:
        """Evaluates the tagger and the baselines on a part of the data.

        Returns:
            The output of `metrics.measures`; `classes` and `confusion`; `mistakes`, the most
            confident ones; and `baselines` with the metrics of each.
        """
        if self.config.pretrain_only and part == "validation":
            return {}
        self._check_head()
        tokens, truth = getattr(splits, part).tokens, self._truth(getattr(splits, part))
        vocabulary = self.model.get_layer("encoder").words.vocabulary
        known = data.known_words(splits.train, self.config, vocabulary)
        spans = bool(written_in(self.tags))
        measure = functools.partial(measures, tokens, truth, known=known, spans=spans)
        with working(f"tagging the {part} part"):
            predicted, probabilities = self._tag(tokens)
            found = {**measure(predicted), **confusion(truth, predicted)}
            found["mistakes"] = mistakes(tokens, truth, predicted, probabilities, spans)
        beside = baselines(splits.train, tokens, quick=part == "validation")
        return {**found, "baselines": {name: measure(tags) for name, tags in beside.items()}}

    def _truth(self, part: Tagged) -> list[list[str]]:
        """The tags of a part, in the model's scheme."""
        written = written_in(self.tags)
        return part.written_as(Scheme(written, written)).tags

    def _pairs(self, splits: Splits[Tagged], part: str) -> tuple[list, list]:
        """The true and the predicted tags of each sentence."""
        examples = getattr(splits, part)
        return self._truth(examples), self._tag(examples.tokens).tags

    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws the confusion matrix of the tags."""
        figures.confusion_matrix(
            found["confusion"], found["classes"], folder / "confusion_matrix.png"
        )

    def serving_spec(self) -> ExportSpec:
        """The signatures of an export.

        `serving_default` maps `text` to `tokens`, `tags`, `starts`, `ends` (in characters) and
        `probabilities`, padded to the longest text, and `lengths`; `tag` maps `tokens`, padded with
        `""`, to `tags`, `probabilities` and `lengths`. The asset `tags.txt` has the tag names.
        """
        self._check_head()
        return serving_spec(self.model)
