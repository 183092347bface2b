"""From a text to its class: the tokenizer before the network, the n-grams beside it, the labels."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy.optimize
import scipy.special
import tensorflow as tf

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.apps.sentiment.data import ordered_batches
from rnnapps.apps.sentiment.model import attention_of
from rnnapps.compatibility import formerly
from rnnapps.data import Batches
from rnnapps.serving import ExportSpec, Signature
from rnnapps.text import NGramClassifier, Shorten, Tokenizer, limited, shorten, to_dense

TEXT = tf.TensorSpec((None,), tf.string, name="text")


def build_classifier(
    config: SentimentConfig,
    tokenizer: Tokenizer,
    network: keras.Model,
    classes: Sequence[str],
    tokens: int,
) -> keras.Model:
    """Puts the n-grams beside the network, the tokenizer before both, and the labels behind.

    Args:
        config: The configuration.
        tokenizer: The adapted tokenizer.
        network: The trained network.
        classes: The classes' names.
        tokens: Number of tokens in the training texts.

    Returns:
        A model from strings `(batch,)` to `label` and `probability` `(batch,)`, and
        `probabilities` `(batch, classes)`. `fit_beside` is still to fit its other layers.
    """
    text = keras.Input((), dtype="string", name="text")
    ids = tokenizer(text)  # (batch, time)
    network = keras.Model(network.input, network.output, name="network")  # leaves the optimizer
    logits = [network(Shorten(config.max_length, name="shorten")(ids))]
    if config.ngrams:
        # Room for every n-gram there may be, up to 2**22 weights for all classes together.
        bits = min((tokens * config.ngrams).bit_length(), 22 - (len(classes) - 2).bit_length())
        ngrams = NGramClassifier(len(classes), config.ngrams, bits, name="ngrams")
        logits.append(ngrams(ids))
    logits = LogitEnsemble(len(logits), name="ensemble")(logits)  # (batch, classes)
    return keras.Model(text, ClassLabels(classes, name="labels")(logits), name="classifier")


def fit_beside(
    model: keras.Model, network: keras.Model, train: tuple, held: tuple, config: SentimentConfig
) -> None:
    """Fits what stands beside the trained network: the n-grams, and how much each is worth.

    Args:
        model: What `build_classifier` built.
        network: The network in it.
        train: The training part's ids, ragged `(texts, time)`, and classes' indices `(texts,)`.
        held: The same of the validation part, which weighs the two.
        config: The configuration.
    """
    ids, labels = held
    logits = [_logits_of(network, ordered_batches(ids, labels, config))]
    if config.ngrams:
        ngrams = model.get_layer("ngrams")
        ngrams.adapt(*train)
        logits.append(_logits_of(ngrams, Batches(ids, labels, config.batch_size)))
    model.get_layer("ensemble").adapt(logits, labels)


def _logits_of(model: keras.layers.Layer, batches: Batches) -> np.ndarray:
    """A model's logits `(examples, classes)`, in the examples' own order."""
    dataset, order = batches.one_pass()
    answer = tf.function(model, autograph=False, reduce_retracing=True)
    rows = np.concatenate([answer(ids).numpy() for ids, _, _ in dataset])[: len(order)]
    return rows[np.argsort(order)]


def explainer(
    model: keras.Model, attention: keras.Model, max_length: int
) -> Callable[[tf.Tensor], dict]:
    """What says how much each token of a text weighs in the network.

    Args:
        model: What `build_classifier` built.
        attention: What `attention_of` found in its network.
        max_length: Tokens that the network reads.

    Returns:
        A function from strings `(batch,)` to `tokens` and `weights`, both `(batch, time)`.
    """
    tokenizer = model.get_layer("tokenizer")

    def explain(texts):
        tokens = tokenizer.tokens(texts)
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        tokens = shorten(to_dense(tokens, ""), lengths, max_length)
        weights = tf.cast(attention(model.get_layer("shorten")(tokenizer(texts))), tf.float32)
        return {"tokens": tokens, "weights": weights}

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
    numeric = [layers[name].call for name in ("network", "ngrams") if name in layers]
    example = [tf.constant(["not a bad film at all", ""])]

    def classify(texts):
        return model(limited(texts))

    signatures = {"serving_default": Signature(classify, [TEXT], example)}
    attention = attention_of(layers["network"])
    if attention is not None:
        numeric.append(attention.call)
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
