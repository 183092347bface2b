"""The sentiment classifier."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from rnnapps import figures
from rnnapps.apps.application import Application
from rnnapps.apps.parts import few
from rnnapps.apps.sentiment import data
from rnnapps.apps.sentiment.answers import labelled, probabilities_of, weights_of
from rnnapps.apps.sentiment.baseline import measure_baselines
from rnnapps.apps.sentiment.config import PredictOptions, SentimentConfig
from rnnapps.apps.sentiment.metrics import measures
from rnnapps.apps.sentiment.model import named_rows
from rnnapps.apps.sentiment.pipeline import TEXT, networks_of, serving_spec, with_networks_alone
from rnnapps.apps.sentiment.printing import print_predictions
from rnnapps.apps.sentiment.training import train_classifier
from rnnapps.apps.trained import Callbacks, Trained
from rnnapps.data import Examples, Splits, texts_given
from rnnapps.errors import RunError
from rnnapps.progress import working
from rnnapps.serving import ExportSpec
from rnnapps.standard_input import batches_of
from rnnapps.text import CharacterTokenizer, kind_of, utf8, warn_of_unknown
from rnnapps.training import Rows, build_encoder


class SentimentClassifier(Application):
    """Sorts texts into classes: a recurrent network beside a linear classifier of n-grams.

    `fit` and `evaluate` take your own examples as a pair of texts and labels, as a DataFrame with
    the configuration's `text_column` and `label_column`, or as a `tf.data.Dataset` of pairs.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.

    Example:
    >>> texts = [f"a {word} film of {n} minutes" for n in range(40) for word in ("fine", "dull")]
    >>> app = SentimentClassifier(cell="gru", units=8, epochs=1).fit((texts, ["good", "bad"] * 40))
    >>> app.predict(["what a dull film"])[0]["label"]
    'bad'
    >>> app.encoder(tf.constant(["a dull film"])).shape  # a state for each word
    TensorShape([1, 3, 16])
    """

    name = "sentiment"
    config_class = SentimentConfig
    data_room: ClassVar = data
    objectives: ClassVar = {
        "accuracy": "max",
        "macro_f1": "max",
        "roc_auc": "max",
        "log_loss": "min",
        "loss": "min",
    }
    config: SentimentConfig

    @property
    def classes(self) -> list[str]:
        """The classes' names, in the order of the probabilities."""
        return list(self.model.get_layer("labels").classes)

    @property
    def networks(self) -> list[keras.Model]:
        """The networks that answer together."""
        return networks_of(self.model)

    @property
    def encoder(self) -> keras.Model:
        """The part that reads, for models of your own: strings to states.

        A model from strings `(batch,)` to states `(batch, time, features)`, with their mask; its
        layers are the classifier's, those of its first network where there are several.

        Raises:
            RunError: If there is no model, or it keeps the last state alone.

        Example:
        >>> app = SentimentClassifier(epochs=1, units=8).fit((["good", "bad"] * 9, [1, 0] * 9))
        >>> text = keras.Input((), dtype="string")
        >>> pooled = keras.layers.GlobalMaxPooling1D()(app.encoder(text))
        >>> stars = keras.Model(text, keras.layers.Dense(1)(pooled))
        >>> stars(tf.constant(["not bad", "good"])).shape
        TensorShape([2, 1])
        """
        network = self.model.get_layer("network")
        if not network.get_layer("recurrent").return_sequences:
            raise RunError("Expected --pooling other than last with app.encoder, which has states.")
        return build_encoder(self.model.get_layer("tokenizer"), network, self.config.max_length)

    @functools.cached_property
    def graph(self) -> tf.types.experimental.PolymorphicFunction:
        """The model, and what its networks say alone, as one graph, compiled on its first call."""
        model = with_networks_alone(self.model)
        return tf.function(model, input_signature=[TEXT], autograph=False)

    def _rows(self) -> dict[str, Rows]:
        layers = {layer.name: layer for layer in self.model.layers}
        classes = layers["labels"].classes if "labels" in layers else []
        return named_rows(layers["tokenizer"].vocabulary, classes)

    def _settled(self) -> dict[str, Any]:
        return {**super()._settled(), "tokenizer": kind_of(self.model.get_layer("tokenizer"))}

    def _examples(self, splits: Splits[Examples]) -> list[str]:
        return few(splits.validation.texts)

    def _fit(
        self, splits: Splits[Examples], checkpoint_dir: pathlib.Path, callbacks: Callbacks
    ) -> Trained:
        return train_classifier(splits, self.config, self._start, checkpoint_dir, callbacks)

    def predict(
        self, inputs: Sequence[str] | None = None, explain: bool = False
    ) -> list[dict[str, Any]]:
        """Predicts the class of each text.

        Args:
            inputs: The texts, in any form that `data.texts_given` takes; `None` for the validation
                part that `fit` was given, or the configuration's test part.
            explain: Whether to add each token's weight (`cell="attention_lstm"` or
                `pooling="attention"`).

        Returns:
            For each text `label`, `probability` and `probabilities` by class, and with `explain`
            also `tokens`: pairs of a token and its weight.

        Raises:
            DataError: If `inputs` is anything else, one text among it, or no part was set aside.
            RunError: If an explanation is asked of a network that does not attend.
        """
        self._check_head()
        inputs = list(self._set_aside().test.texts) if inputs is None else inputs
        given = texts_given(inputs, self.config.text_column)
        texts = [utf8(text) for text in given]
        warn_of_unknown(self.model.get_layer("tokenizer"), texts)
        weights = weights_of(self.model, self.config.max_length, texts) if explain else None
        answers = labelled(self._probabilities(texts), self.classes)
        if weights is None:
            return answers
        return [{**one, "tokens": row} for one, row in zip(answers, weights, strict=True)]

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints an answer a line."""
        for texts in batches_of(options.text):
            print_predictions(texts, self.predict(texts, options.explain), as_json)

    def _probabilities(self, texts: Sequence[str | bytes]) -> np.ndarray:
        return probabilities_of(self.graph, texts, len(self.classes)).whole

    def _evaluate(self, splits: Splits[Examples], part: str) -> dict[str, Any]:
        """Measures the classifier on a part, and baselines on the same texts beside it.

        Returns:
            What `metrics.measures` returns, with the metrics of the baselines among its own.
        """
        if self.config.pretrain_only and part == "validation":
            return {}
        self._check_head()
        examples, classes = getattr(splits, part), self.classes
        labels = data.indices(examples.labels, classes, part)
        with working(f"predicting the {part} part"):
            probabilities = probabilities_of(self.graph, examples.texts, len(classes))
        found = measures(examples, labels, *probabilities, classes)
        characters = isinstance(self.model.get_layer("tokenizer"), CharacterTokenizer)
        found["baselines"] |= measure_baselines(splits, part, classes, characters)
        return found

    def _pairs(self, splits: Splits[Examples], part: str) -> tuple[list[str], list[str]]:
        """The labels, and those that are predicted."""
        examples = getattr(splits, part)
        best = self._probabilities(examples.texts).argmax(1)
        return list(examples.labels), [self.classes[i] for i in best]

    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws the confusion matrix and the reliability diagram."""
        confusion, reliability = found["confusion"], np.array(found["reliability"])
        figures.confusion_matrix(confusion, found["classes"], folder / "confusion_matrix.png")
        figures.reliability_diagram(reliability, folder / "reliability_diagram.png")

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes `text` and answers `label`, `probability` and
        `probabilities`; `explain`, where the network attends, answers `tokens` and `weights`. The
        classes' names are the asset `classes.txt`.
        """
        self._check_head()
        return serving_spec(self.model, self.config.max_length)
