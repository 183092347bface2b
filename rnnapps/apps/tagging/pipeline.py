"""From a text to its tags: tokens with their positions, network, tag names."""

import re
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.apps.tagging.model import trained_network
from rnnapps.assertions import require
from rnnapps.layers import CRF
from rnnapps.serving import ExportSpec, Signature
from rnnapps.text import OffsetTokenizer, TokenEncoder, limited

TEXT = tf.TensorSpec((None,), tf.string, name="text")
TOKENS = tf.TensorSpec((None, None), tf.string, name="tokens")
MOST_TOKENS = 20_000  # per text: the network processes them sequentially


def build_tagger(
    tokenizer: OffsetTokenizer,
    encoder: TokenEncoder,
    networks: Sequence[keras.Model],
    tags: Sequence[str],
) -> keras.Model:
    """Adds the tokenizer before the network and the tag names after it.

    Args:
        tokenizer: The tokenizer.
        encoder: The adapted token encoder.
        networks: The trained networks, an ensemble if there are several.
        tags: The tag names.

    Returns:
        A model from strings `(batch,)` to `tokens`, `tags`, `starts`, `ends` and `probabilities`,
        each `(batch, time)`, and `lengths` `(batch,)`.
    """
    text = keras.Input((), dtype="string", name="text")
    tokens, starts, ends = tokenizer(text)  # (batch, time)
    found = together(networks)(encoder(tokens))
    found = TagNames(tags, name="tags")(tokens, found["tags"], found["marginals"])
    places = {"tokens": tokens, "starts": starts, "ends": ends}
    return keras.Model(text, {**places, **found}, name="tagger")


def together(networks: Sequence[keras.Model]) -> keras.Model:
    """Combines networks into an ensemble: averages their scores and their CRFs' weights.

    Args:
        networks: Networks with the same tags, from `build_network`.

    Returns:
        A model `network` with the inputs and outputs of each. For several, its layers `network_1`
        and so on are the networks up to the scores.
    """
    first = networks[0]
    if len(networks) == 1:
        return keras.Model(first.input, first.output, name="network")  # drops the optimizer
    scores = [
        trained_network(one, f"network_{number}")(first.input)
        for number, one in enumerate(networks, 1)
    ]
    mean = keras.layers.Average(name="mean", dtype="float32")(scores)  # (batch, time, tags)
    crf = CRF(first.get_layer("crf").allowed, name="crf")
    crf.build(mean.shape)
    weights = zip(*(one.get_layer("crf").get_weights() for one in networks), strict=True)
    crf.set_weights([np.mean(values, axis=0) for values in weights])
    best, marginals = crf(mean, return_tags=True), crf(mean, return_marginals=True)
    outputs = {"scores": mean, "tags": best, "marginals": marginals}
    return keras.Model(first.input, outputs, name="network")


def networks_of(network: keras.Model) -> list[keras.Model]:
    """The networks of an ensemble, or the single network itself.

    Args:
        network: The output of `together`.
    """
    several = [layer for layer in network.layers if re.fullmatch(r"network_\d+", layer.name)]
    return several or [network]


def build_encoder(
    tokenizer: OffsetTokenizer, encoder: TokenEncoder, network: keras.Model
) -> keras.Model:
    """Builds the encoder: strings `(batch,)` to hidden states `(batch, time, features)`.

    Args:
        tokenizer: The tokenizer.
        encoder: The adapted token encoder.
        network: The network.
    """
    states = keras.Model(network.input, network.get_layer("recurrent").output, name="network")
    text = keras.Input((), dtype="string", name="text")
    return keras.Model(text, states(encoder(tokenizer(text)[0])), name="encoder")


def tag_tokens(model: keras.Model, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tags tokenized sentences.

    Args:
        model: The output of `build_tagger`.
        tokens: Strings `(batch, time)`, padded with `""`.

    Returns:
        `tags` and `probabilities` `(batch, time)`, and `lengths` `(batch,)`.
    """
    # At least one step: a batch of empty sentences may have none.
    width = tf.maximum(1, tf.shape(tokens)[1])
    tokens = tf.pad(tokens, [[0, 0], [0, width - tf.shape(tokens)[1]]], constant_values="")
    found = model.get_layer("network")(model.get_layer("encoder")(tokens))
    return model.get_layer("tags")(tokens, found["tags"], found["marginals"])


def serving_spec(model: keras.Model) -> ExportSpec:
    """The signatures of an export; see `Tagger.serving_spec`.

    Args:
        model: The output of `build_tagger`.

    Returns:
        The signatures and their resources.
    """
    layers = {layer.name: layer for layer in model.layers}

    def from_text(texts):
        tokens, starts, ends = layers["tokenizer"](limited(texts))
        found = tag_tokens(model, _bounded(tokens))
        return {"tokens": tokens, "starts": starts, "ends": ends, **found}

    signatures = {
        "serving_default": Signature(
            from_text, [TEXT], [tf.constant(["Will May met April in Paris .", ""])]
        ),
        "tag": Signature(
            lambda tokens: tag_tokens(model, _bounded(tokens)),
            [TOKENS],
            [tf.constant([["Will", "met", "May"], ["Yes", "", ""]])],
        ),
    }
    assets = {"tags.txt": "".join(name + "\n" for name in layers["tags"].tags)}
    numeric = [layers["network"].call]
    return ExportSpec(signatures, numeric, [layers["tokenizer"], layers["encoder"]], assets)


def _bounded(tokens: tf.Tensor) -> tf.Tensor:
    """Returns the tokens, or fails if a text has too many for a server."""
    most = tf.shape(tokens)[1]
    said = f"Expected every text to have at most {MOST_TOKENS:,} tokens."
    checks = [require(most <= MOST_TOKENS, said, most)]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(tokens)


@keras.saving.register_keras_serializable("rnnapps")
class TagNames(keras.layers.Layer):
    """Maps tag ids to names, with their probabilities.

    Args:
        tags: The names.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        tokens: Strings `(batch, time)`, padded with `""`.
        best: int32 tags `(batch, time)`.
        marginals: The probability of each tag `(batch, time, tags)`.

    Output:
        `tags` (strings, padded with `""`), `probabilities`, each `(batch, time)`, and `lengths`,
        int32 `(batch,)`.
    """

    def __init__(self, tags: Sequence[str], **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.tags = list(tags)

    def call(self, tokens, best, marginals):
        there = tokens != ""
        chosen = tf.gather(marginals, best, batch_dims=2)
        return {
            "tags": tf.where(there, tf.gather(tf.constant(list(self.tags)), best), ""),
            "probabilities": tf.where(there, chosen, 0.0),
            "lengths": tf.reduce_sum(tf.cast(there, tf.int32), axis=1),
        }

    def compute_output_spec(self, tokens, best, marginals):
        return {
            "tags": keras.KerasTensor(best.shape, "string"),
            "probabilities": keras.KerasTensor(best.shape, "float32"),
            "lengths": keras.KerasTensor(best.shape[:1], "int32"),
        }

    def get_config(self):
        return {"name": self.name, "tags": list(self.tags)}
