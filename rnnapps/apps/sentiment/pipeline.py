"""From a text to its class: tokenizer, network, n-grams and labels."""

import re
from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy.optimize
import scipy.special
import tensorflow as tf

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.sentiment.data import Encoded, ordered_batches
from rnnapps.apps.sentiment.model import attention_of
from rnnapps.compatibility import formerly
from rnnapps.data import Batches
from rnnapps.progress import say
from rnnapps.serving import ExportSpec, Signature
from rnnapps.text import (
    CharacterTokenizer,
    NGramClassifier,
    Shorten,
    limited,
    one_in,
    shorten,
    to_dense,
)

TEXT = tf.TensorSpec((None,), tf.string, name="text")


def build_classifier(
    config: SentimentConfig, networks: Sequence[keras.Model], parts: Encoded
) -> keras.Model:
    """Puts the n-grams beside the networks, the tokenizer before all, and the labels behind.

    Args:
        config: The configuration.
        networks: The trained networks.
        parts: What they have learned from.

    Returns:
        A model from strings `(batch,)` to `label` and `probability` `(batch,)`, and
        `probabilities` `(batch, classes)`. `fit_beside` is still to fit its other layers.
    """
    text = keras.Input((), dtype="string", name="text")
    ids = parts.tokenizer(text)  # (batch, time)
    shortened, logits = Shorten(config.max_length, name="shorten")(ids), []
    for number, network in enumerate(networks, 1):
        name = "network" if number == 1 else f"network_{number}"
        # Another model of the same layers leaves the optimizer behind.
        logits.append(keras.Model(network.input, network.output, name=name)(shortened))
    if config.ngrams != 0:
        logits.append(make_ngrams(config, parts)(ids))
    logits = LogitEnsemble(len(logits), name="ensemble")(logits)  # (batch, classes)
    return keras.Model(text, ClassLabels(parts.classes, name="labels")(logits), name="classifier")


def make_ngrams(config: SentimentConfig, parts: Encoded) -> NGramClassifier:
    """The linear classifier of n-grams, which is still to be fitted."""
    # Room for four times the n-grams there may be, so that few share a bucket, up to 2**22 weights
    # for all classes together.
    count, tokens = len(parts.classes), int(parts.ids.flat_values.shape[0])
    longest = config.ngrams or (2 if isinstance(parts.tokenizer, CharacterTokenizer) else 3)
    bits = min((4 * tokens * longest).bit_length(), 22 - (count - 2).bit_length())
    return NGramClassifier(count, longest, bits, name="ngrams")


def fit_beside(model: keras.Model, parts: Encoded, config: SentimentConfig) -> None:
    """Fits what stands beside the trained networks: the n-grams, and how much each is worth.

    Args:
        model: What `build_classifier` built.
        parts: The texts to learn from, with class indices, and what weighs them all.
        config: The configuration.
    """
    ids, labels = parts.held_ids, parts.held_labels
    batches = ordered_batches(ids, labels, config)
    logits = [logits_of(network, batches) for network in networks_of(model)]
    if config.ngrams != 0:
        ngrams = model.get_layer("ngrams")
        if (step := one_in(parts.ids)) > 1:
            say([f"the n-grams are those of one text in {step}"])
        ngrams.adapt(parts.ids, parts.labels, (ids, labels))
        logits.append(logits_of(ngrams, Batches(ids, labels, config.batch_size)))
    model.get_layer("ensemble").adapt(logits, labels)


def networks_of(model: keras.Model) -> list[keras.Model]:
    """The networks in a classifier, or in a language model's encoder."""
    return [layer for layer in model.layers if re.fullmatch(r"network(_\d+)?", layer.name)]


def with_networks_alone(model: keras.Model) -> keras.Model:
    """A classifier that answers by its networks without the n-grams, too, and runs them once.

    Args:
        model: What `build_classifier` built, or a language model's encoder.

    Returns:
        The same, with `alone` among its answers: the probabilities `(batch, classes)` of the
        networks, with their share of what all are worth. As it is where there are no n-grams.
    """
    if not any(layer.name == "ngrams" for layer in model.layers):
        return model
    # By its class: version 0.1.0 had another name for it.
    (whole,) = (layer for layer in model.layers if isinstance(layer, LogitEnsemble))
    *logits, _ = whole.input  # the n-grams are the last
    share = whole.scale.numpy()[:-1]
    alone = LogitEnsemble(len(logits))
    if share.any():
        alone.scale.assign(share / share.sum())
    found = model.get_layer("labels")(alone(logits))["probabilities"]
    return keras.Model(model.input, {**model.output, "alone": found})


def logits_of(model: keras.layers.Layer, batches: Batches) -> np.ndarray:
    """A model's logits `(examples, classes)`, in the examples' own order."""
    dataset, order = batches.one_pass()
    ids = tf.TensorSpec((batches.batch_size, None), tf.int32)
    answer = tf.function(model, input_signature=[ids], autograph=False)
    rows = np.concatenate([answer(ids).numpy() for ids, _, _ in dataset])[: len(order)]
    return rows[np.argsort(order)]


def explainer(
    model: keras.Model, attention: Sequence[keras.Model], max_length: int
) -> Callable[[tf.Tensor], dict]:
    """What says how much each token of a text weighs in the networks, on average.

    Args:
        model: What `build_classifier` built.
        attention: What `attention_of` found in its networks.
        max_length: Tokens that the network reads.

    Returns:
        A function from strings `(batch,)` to `tokens` and `weights`, both `(batch, time)`.
    """
    tokenizer = model.get_layer("tokenizer")

    def explain(texts):
        tokens = tokenizer.tokens(texts)
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        tokens = shorten(to_dense(tokens, ""), lengths, max_length)
        ids = model.get_layer("shorten")(tokenizer(texts))
        weights = [tf.cast(one(ids), tf.float32) for one in attention]
        return {"tokens": tokens, "weights": tf.add_n(weights) / len(weights)}

    return explain


def serving_spec(model: keras.Model, max_length: int) -> ExportSpec:
    """What an export answers; see `SentimentClassifier.serving_spec`.

    Args:
        model: What `build_classifier` built.
        max_length: Tokens that the network reads.

    Returns:
        The signatures, and what they need.
    """
    layers = {layer.name: layer for layer in model.layers}
    numeric = [layer.call for layer in networks_of(model)]
    numeric += [layers["ngrams"].call] if "ngrams" in layers else []
    example = [tf.constant(["not a bad film at all", ""])]

    def classify(texts):
        return model(limited(texts))

    signatures = {"serving_default": Signature(classify, [TEXT], example)}
    attention = [one for network in networks_of(model) if (one := attention_of(network))]
    if attention:
        numeric += [one.call for one in attention]
        explain = explainer(model, attention, max_length)
        signatures["explain"] = Signature(lambda texts: explain(limited(texts)), [TEXT], example)
    assets = {"classes.txt": "".join(name + "\n" for name in layers["labels"].classes)}
    return ExportSpec(signatures, numeric, [layers["tokenizer"]], assets)


@formerly("Blend")
@keras.saving.register_keras_serializable("rnnapps")
class LogitEnsemble(keras.layers.Layer):
    """A weighted sum of several models' logits, with weights that suit held-out examples best.

    Args:
        count: Number of models.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        logits: As many tensors `(batch, classes)`.

    Output:
        Logits `(batch, classes)`.
    """

    def __init__(self, count: int, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.count = count
        self.scale = self.add_weight((count,), keras.initializers.Constant(1 / count), name="scale")

    def call(self, logits):
        return sum(self.scale[i] * tf.cast(one, tf.float32) for i, one in enumerate(logits))

    def adapt(self, logits: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Finds the weights with the lowest log loss.

        They lie between 0 and 1: on a set that is told apart without an error, nothing else would
        keep them, and the confidence that they give, from growing for ever.

        Args:
            logits: Each model's logits `(examples, classes)` on examples it was not trained on.
            labels: Their classes' indices `(examples,)`.
        """
        stacked, rows = np.stack(logits), np.arange(len(labels))

        def loss(scale: np.ndarray) -> float:
            together = np.tensordot(scale, stacked, 1)
            return -scipy.special.log_softmax(together, axis=1)[rows, labels].mean()

        start = np.full(self.count, 1 / self.count)
        bounds = [(0.0, 1.0)] * self.count
        self.scale.assign(scipy.optimize.minimize(loss, start, bounds=bounds).x)

    def get_config(self):
        config = super().get_config()
        return {"name": config["name"], "count": self.count}


@formerly("Labels")
@keras.saving.register_keras_serializable("rnnapps")
class ClassLabels(keras.layers.Layer):
    """Logits to the likeliest class's name and all classes' probabilities.

    Args:
        classes: The classes' names.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        logits: `(batch, classes)`.

    Output:
        `label` (strings) and `probability`, each `(batch,)`; `probabilities` `(batch, classes)`.
    """

    def __init__(self, classes: Sequence[str], **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.classes = list(classes)

    def call(self, logits):
        probabilities = tf.nn.softmax(logits)  # (batch, classes)
        return {
            "label": tf.gather(tf.constant(list(self.classes)), tf.argmax(probabilities, axis=1)),
            "probability": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
        }

    def compute_output_spec(self, logits):
        return {
            "label": keras.KerasTensor(logits.shape[:1], "string"),
            "probability": keras.KerasTensor(logits.shape[:1], "float32"),
            "probabilities": keras.KerasTensor(logits.shape, "float32"),
        }

    def get_config(self):
        return {"name": self.name, "classes": list(self.classes)}
