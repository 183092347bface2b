"""The sentiment classifier."""

import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from rnnapps import figures, metrics
from rnnapps.apps.application import Application
from rnnapps.apps.sentiment import data
from rnnapps.apps.sentiment.baseline import baselines, most_frequent
from rnnapps.apps.sentiment.config import PredictOptions, SentimentConfig
from rnnapps.apps.sentiment.model import attention_of, build_classifier, build_network
from rnnapps.data import Batches, Examples, texts_given
from rnnapps.errors import DataError, RunError
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec, Signature
from rnnapps.standard_input import batches_of
from rnnapps.tables import show_predictions
from rnnapps.text import CharacterTokenizer, make_tokenizer, shorten, to_dense, utf8
from rnnapps.training import compile_model, fit, make_strategy, precision, static_lengths

_EXAMPLE = ["not a bad film at all", ""]
_TEXT = tf.TensorSpec((None,), tf.string, name="text")


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
    >>> app = SentimentClassifier(cell="gru", units=64).fit()
    >>> app.predict(["the plot was not what i would call dull"])[0]["label"]
    'positive'
    """

    name = "sentiment"
    config_class = SentimentConfig
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

    # Training.

    def train(self, train: Any, validation: Any, state_dir: pathlib.Path | None) -> None:
        """Trains on labelled texts; see `fit`, which takes what `data.as_examples` takes."""
        train, validation = self._examples(train, validation)
        classes = data.class_names(train)
        unknown = sorted(set(validation.labels) - set(classes))
        if unknown:
            raise DataError(f"The validation part has classes that training lacks: {unknown}.")
        config, strategy = self.config, make_strategy(self.config.strategy)
        self.remember(data.fingerprint(train, validation), state_dir)
        with working("reading the texts"):
            tokenizer = make_tokenizer(config.tokenizer, train.texts, config.max_tokens)
            ids, held_ids = tokenizer.encode(train.texts), tokenizer.encode(validation.texts)
        labels = indices(train.labels, classes)
        held_labels = indices(validation.labels, classes)
        lengths = static_lengths(config, config.max_length)
        options = {"max_length": config.max_length, "boundaries": lengths}
        batches = Batches(ids, labels, config.batch_size, seed=config.seed, **options)
        held = Batches(held_ids, held_labels, config.batch_size, **options)
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), precision(config.precision):
            network = build_network(config, tokenizer.vocabulary_size, len(classes))
            compile_model(
                network,
                config,
                steps=config.epochs * len(batches),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            )
        stage = state_dir and state_dir / "network"
        held_batches = held.one_pass()[0]
        self.history = fit(
            network, batches, held_batches, config, config.epochs, stage, self.callbacks
        )
        self.model = build_classifier(
            config, tokenizer, network, classes, tokens=int(tf.size(ids.flat_values))
        )
        with working("fitting the n-grams"):
            logits = [logits_of(network, held)]
            if config.ngrams:
                ngrams = self.model.get_layer("ngrams")
                ngrams.adapt(ids, labels)
                logits.append(logits_of(ngrams, Batches(held_ids, held_labels, config.batch_size)))
            self.model.get_layer("blend").adapt(logits, held_labels)
            probabilities = self._probabilities(validation.texts)
        found = metrics.classification(held_labels, probabilities, classes)
        naive = most_frequent(labels, len(classes), len(held_labels))
        judged = metrics.classification(held_labels, naive, classes)
        self.metrics["validation"] = {**found, "baselines": {"most frequent class": judged}}

    def _examples(self, train: Any, validation: Any) -> tuple[Examples, Examples]:
        if train is None:
            splits = data.load_splits(self.config)
            say(splits.said)
            return splits.train, splits.validation
        train = data.as_examples(train, self.config)
        say(train.said)
        data.check(train, "the training part")
        if validation is not None:
            return train, data.as_examples(validation, self.config)
        return tuple(data.split(train, (0.9, 0.1), self.config.seed))

    # Answers.

    def predict(self, inputs: Sequence[str], explain: bool = False) -> list[dict[str, Any]]:
        """Judges texts.

        Args:
            inputs: The texts, in any form that `data.texts_given` takes.
            explain: Whether to add each token's weight (`cell="attention_lstm"` or
                `pooling="attention"`).

        Returns:
            For each text `label`, `probability` and `probabilities` by class, and with `explain`
            also `tokens`: pairs of a token and its weight.

        Raises:
            DataError: If `inputs` is anything else, one text among it.
            RunError: If an explanation is asked of a network that does not attend.
        """
        given = texts_given(inputs, self.config.text_column)
        texts, classes = [utf8(text) for text in given], self.classes
        weights = self._weights(texts) if explain else None
        answers = []
        for i, row in enumerate(self._probabilities(texts)):
            best = int(row.argmax())
            answer = {
                "label": classes[best],
                "probability": float(row[best]),
                "probabilities": dict(zip(classes, row.tolist(), strict=True)),
            }
            answers.append({**answer, "tokens": weights[i]} if explain else answer)
        return answers

    def respond(self, options: PredictOptions, as_json: bool) -> None:
        """Prints an answer a line."""
        for texts in batches_of(options.text):
            show_predictions(texts, self.predict(texts, options.explain), as_json)

    def _probabilities(self, texts: Sequence[str | bytes]) -> np.ndarray:
        """Probabilities `(texts, classes)`, batched by length."""
        texts = [utf8(text) for text in texts]
        order = np.argsort([len(text) for text in texts], kind="stable")
        probabilities = np.empty((len(texts), len(self.classes)), np.float32)
        for chunk in np.split(order, range(128, len(order), 128)) if texts else ():
            answer = self.graph(tf.constant([texts[i] for i in chunk]))
            probabilities[chunk] = answer["probabilities"].numpy()
        return probabilities

    def _weights(self, texts: Sequence[bytes]) -> list[list[tuple[str, float]]]:
        """Each text's tokens with their weights."""
        attention = attention_of(self.model.get_layer("network"))
        if attention is None:
            raise RunError(
                "This network does not attend, so it cannot explain; train one with "
                "--pooling attention or --cell attention_lstm."
            )
        explainer = self._explainer(attention)
        explain = tf.function(explainer, input_signature=[_TEXT], autograph=False)
        found = []
        for text in texts:
            answer = explain(tf.constant([text]))
            pairs = zip(answer["tokens"][0].numpy(), answer["weights"][0].numpy(), strict=True)
            found.append([(token.decode(), float(weight)) for token, weight in pairs if token])
        return found

    def _explainer(self, attention: keras.Model):
        """A function from texts `(batch,)` to tokens and weights, both `(batch, time)`."""
        tokenizer = self.model.get_layer("tokenizer")

        def explain(texts):
            tokens = tokenizer.tokens(texts)
            lengths = tf.cast(tokens.row_lengths(), tf.int32)
            tokens = shorten(to_dense(tokens, ""), lengths, self.config.max_length)
            ids = self.model.get_layer("shorten")(tokenizer(texts))
            weights = tf.cast(attention(ids), tf.float32)
            return {"tokens": tokens, "weights": weights}

        return explain

    # Measures.

    def validate(self) -> dict[str, Any]:
        """Measures the classifier on the configuration's validation part, without baselines."""
        splits = data.load_splits(self.config)
        self.recognise(data.fingerprint(splits.train, splits.validation))
        return self.measure(splits.validation)

    def measure(self, test: Any) -> dict[str, Any]:
        """Measures the classifier, and the baselines trained on the same texts beside it.

        Args:
            test: Labelled texts in the form that `fit` takes; `None` for the configuration's test
                part.

        Returns:
            The metrics of `metrics.classification`; `baselines` with the same for each of them;
            `mistakes` (the most confident ones); `reliability` (see `metrics.reliability`).

        Raises:
            DataError: If the test part has a class that was not trained.
            RunError: If the configuration's data is no longer what the model was trained on.
        """
        splits = data.load_splits(self.config) if test is None else None
        if splits:
            self.recognise(data.fingerprint(splits.train, splits.validation))
        test = splits.test if splits else data.as_examples(test, self.config)
        classes = self.classes
        unknown = sorted(set(test.labels) - set(classes))
        if unknown:
            raise DataError(f"The test part has classes that training lacks: {unknown}.")
        labels = indices(test.labels, classes)
        with working("judging the test part"):
            probabilities = self._probabilities(test.texts)
        found = metrics.classification(labels, probabilities, classes)
        found["baselines"] = self._baselines(splits, labels) if splits else {}
        found["classes"] = classes
        found["mistakes"] = self._mistakes(test, labels, probabilities)
        found["reliability"] = metrics.reliability(labels, probabilities).tolist()
        return found

    def _baselines(self, splits: data.Splits, labels: np.ndarray) -> dict[str, dict]:
        characters = isinstance(self.model.get_layer("tokenizer"), CharacterTokenizer)
        known = indices(splits.train.labels, self.classes)
        with working("training the baselines"):
            judged = baselines(splits.train.texts, known, splits.test.texts, characters)
        return {
            name: metrics.classification(labels, probabilities, self.classes)
            for name, probabilities in judged.items()
        }

    def _mistakes(
        self, test: Examples, labels: np.ndarray, probabilities: np.ndarray
    ) -> list[dict]:
        predicted, confidence = probabilities.argmax(1), probabilities.max(1)
        wrong = np.flatnonzero(predicted != labels)
        worst = wrong[np.argsort(-confidence[wrong])][:5]
        return [
            {
                "text": test.texts[i],
                "label": test.labels[i],
                "predicted": self.classes[predicted[i]],
                "probability": float(confidence[i]),
            }
            for i in worst
        ]

    def draw(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws what `evaluate` found: the confusion matrix and the reliability diagram."""
        figures.confusion_matrix(
            found["confusion"], found["classes"], folder / "confusion_matrix.png"
        )
        figures.reliability_diagram(
            np.array(found["reliability"]), folder / "reliability_diagram.png"
        )

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes `text` and answers `label`, `probability` and
        `probabilities`; `explain`, where the network attends, answers `tokens` and `weights`. The
        classes' names are the asset `classes.txt`.
        """
        layers = {layer.name: layer for layer in self.model.layers}
        core = [layers[name].call for name in ("network", "ngrams") if name in layers]
        example = [tf.constant(_EXAMPLE)]
        signatures = {"serving_default": Signature(self.model, [_TEXT], example)}
        attention = attention_of(layers["network"])
        if attention is not None:
            core.append(attention.call)
            signatures["explain"] = Signature(self._explainer(attention), [_TEXT], example)
        assets = {"classes.txt": "".join(name + "\n" for name in self.classes)}
        return ExportSpec(signatures, core, [layers["tokenizer"]], assets)


def indices(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """The classes' indices `(labels,)`."""
    place = {name: i for i, name in enumerate(classes)}
    return np.array([place[label] for label in labels], np.int32)


def logits_of(model: keras.layers.Layer, batches: Batches) -> np.ndarray:
    """A model's logits `(examples, classes)`, in the examples' own order."""
    dataset, order = batches.one_pass()
    answer = tf.function(model, autograph=False, reduce_retracing=True)
    rows = np.concatenate([answer(ids).numpy() for ids, _, _ in dataset])[: len(order)]
    return rows[np.argsort(order)]
