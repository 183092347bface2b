"""The encoder part of a model: from strings to the states of its recurrent layers."""

import keras

from rnnapps.text import Shorten, Tokenizer


def build_encoder(
    tokenizer: Tokenizer, network: keras.Model, max_length: int, name: str = "encoder"
) -> keras.Model:
    """Makes a model of strings to states, with the layers of a network that is there already.

    Args:
        tokenizer: The adapted tokenizer, a layer named `tokenizer`.
        network: A model of ids that has a layer `recurrent`.
        max_length: Tokens that are read of a text; a longer one loses its middle.
        name: The model's name.

    Returns:
        A model from strings `(batch,)` to states `(batch, time, features)`, with their mask. Its
        layers are `tokenizer`, `shorten` and `network`.
    """
    states = keras.Model(network.input, network.get_layer("recurrent").output, name="network")
    text = keras.Input((), dtype="string", name="text")
    ids = Shorten(max_length, name="shorten")(tokenizer(text))  # (batch, time)
    return keras.Model(text, states(ids), name=name)
