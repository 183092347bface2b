"""The sentiment classifier's network: the page to edit."""

from collections.abc import Sequence

import keras
import numpy as np
import scipy.optimize
import scipy.special
import tensorflow as tf
from keras import layers

from rnnapps.apps.sentiment.config import SentimentConfig
from rnnapps.layers import AttentionPooling, RecurrentStack, SequencePooling
from rnnapps.text import NGramClassifier, Shorten, Tokenizer


def build_network(config: SentimentConfig, vocabulary_size: int, classes: int) -> keras.Model:
    """Builds the recurrent network.

    Args:
        config: The configuration.
        vocabulary_size: Number of token ids.
        classes: Number of classes.

    Returns:
        A model from int32 ids `(batch, time)`, 0 where there is no token, to logits
        `(batch, classes)`.
    """
    attends = config.cell == "attention_lstm"  # by itself: it returns one vector
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(vocabulary_size, config.embedding_dim, mask_zero=True, name="embedding")(
        ids
    )
    x = layers.SpatialDropout1D(config.dropout)(x)  # the same features of all words
    x = layers.Dropout(config.word_dropout, noise_shape=(None, None, 1))(x)  # whole words
    stack = RecurrentStack(
        config.cell,
        config.units,
        num_layers=config.layers,
        bidirectional=config.bidirectional,
        residual=config.residual,
        normalization=None if config.normalization == "none" else config.normalization,
        dropout=config.dropout,
        recurrent_dropout=config.recurrent_dropout,
        return_sequences=not attends and config.pooling != "last",
        name="recurrent",
    )
    if attends:
        x, _ = stack(x, return_attention_scores=True)
    elif config.pooling == "last":
        x = stack(x)
    elif config.pooling == "attention":
        x, _ = AttentionPooling(name="attention")(stack(x), return_attention_scores=True)
    else:
        x = SequencePooling(config.pooling)(stack(x))
    x = layers.Dropout(config.dropout)(x)  # (batch, features)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(ids, logits, name="network")


def attention_of(network: keras.Model) -> keras.Model | None:
    """The part of a network that says how much each token weighs.

    Args:
        network: What `build_network` built.

    Returns:
        A model from ids `(batch, time)` to weights `(batch, time)` that sum to 1; `None` where the
        network does not attend.
    """
    for name in ("attention", "recurrent"):
        if name in [layer.name for layer in network.layers]:
            output = network.get_layer(name).output
            if isinstance(output, (list, tuple)):
                return keras.Model(network.input, output[1])
    return None


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
        `probabilities` `(batch, classes)`. Its layers `ngrams` and `blend` are still to be fitted.
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
    blended = Blend(len(logits), name="blend")(logits)  # (batch, classes)
    return keras.Model(text, Labels(classes, name="labels")(blended), name="classifier")


@keras.saving.register_keras_serializable("rnnapps")
class Blend(keras.layers.Layer):
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
            blended = np.tensordot(scale, stacked, 1)
            return -scipy.special.log_softmax(blended, axis=1)[rows, labels].mean()

        start = np.full(self.count, 1 / self.count)
        bounds = [(0.0, 1.0)] * self.count
        self.scale.assign(scipy.optimize.minimize(loss, start, bounds=bounds).x)

    def get_config(self):
        config = super().get_config()
        return {"name": config["name"], "count": self.count}


@keras.saving.register_keras_serializable("rnnapps")
class Labels(keras.layers.Layer):
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
