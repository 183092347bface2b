"""The network and an n-gram model, whose probabilities are added up."""

from collections.abc import Callable

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf

from rnnapps.apps.chargen.model import CharNetwork
from rnnapps.progress import say
from rnnapps.text import KneserNey

_WEIGHT = 0.7  # of the network, where nothing was held out to choose it by
_WORTH = 0.01  # of the n-grams' weight, from which they are kept
_HELD = 2**20  # tokens of the validation part that choose the weight
_LEAST = 1e-30  # of a probability, whose logarithm is asked for


def beside_ngrams(
    network: CharNetwork,
    order: int,
    ids: np.ndarray,
    held: np.ndarray,
    nats_of: Callable[[np.ndarray], np.ndarray],
) -> "CharNetwork | Mixture":
    """Puts a model of n-grams beside a trained network, with the weight that suits held-out text.

    Args:
        network: The network.
        order: The longest n-gram.
        ids: The training part's ids `(tokens,)`.
        held: The validation part's, the first million of which are read; it may have none.
        nats_of: What each token of a text costs the network.

    Returns:
        The mixture; or the network itself, where the n-grams are worth nothing.
    """
    ngrams = KneserNey(order, network.vocabulary_size, name="ngrams")
    ngrams.adapt(ids)
    mixture, held = Mixture(network, ngrams, name="mixture"), held[:_HELD]
    if len(held):
        mixture.adapt(nats_of(held), ngrams.nats(held))
    say([mixture.describe()])
    return mixture if 1 - float(mixture.weight) >= _WORTH else network


@keras.saving.register_keras_serializable("rnnapps")
class Mixture(keras.layers.Layer):
    """A weighted sum of the probabilities of a network and of a model of n-grams.

    It is called, and steps, as the network does; what the n-grams have read is one state more.

    Args:
        network: The network.
        ngrams: The model of n-grams, over the same vocabulary.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 ids `(batch, time)`.
        state: The list of states before the first token; `None` for the beginning of a text.
        training: Whether to apply dropout.

    Output:
        float32 logits of the next token `(batch, time, vocabulary)`, and the list of states.
    """

    def __init__(self, network: CharNetwork, ngrams: KneserNey, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.network, self.ngrams = network, ngrams
        self.vocabulary_size = network.vocabulary_size
        constant = keras.initializers.Constant(_WEIGHT)
        self.weight = self.add_weight((), constant, trainable=False, name="weight")

    def build(self, ids_shape=None):
        """Creates the network's weights; the n-grams have theirs."""
        if not self.network.built:
            self.network.build(ids_shape or (None, None))
        self.built = True

    def call(self, ids, state=None, training=None):
        """See the class."""
        state = self.initial_state(tf.shape(ids)[0]) if state is None else state
        logits, after = self.network(ids, state[:-1], training=training)
        probabilities, nodes = self.ngrams(ids, state[-1])
        return self._mixed(logits, probabilities), [*after, nodes]

    def step(self, tokens, state: list):
        """Reads one token of each row, see `CharNetwork.step`."""
        logits, after = self.network.step(tokens, state[:-1])
        probabilities, nodes = self.ngrams.step(tokens, state[-1])
        return self._mixed(logits, probabilities), [*after, nodes]

    def initial_state(self, batch_size) -> list:
        """The state before any token."""
        return [*self.network.initial_state(batch_size), self.ngrams.initial_state(batch_size)]

    def adapt(self, network: np.ndarray, ngrams: np.ndarray) -> None:
        """Finds the weight of the network with which held-out text costs least.

        Args:
            network: What each token costs the network, -log p `(tokens,)`.
            ngrams: What it costs the n-grams.
        """

        def cost(weight: float) -> float:
            both = np.logaddexp(np.log(weight) - network, np.log1p(-weight) - ngrams)
            return -both.mean()

        found = scipy.optimize.minimize_scalar(cost, bounds=(0.0, 1.0), method="bounded")
        self.weight.assign(found.x)

    def describe(self) -> str:
        """What it is made of, in a line."""
        sizes, room = self.ngrams.sizes, sum(w.value.numpy().nbytes for w in self.ngrams.weights)
        weight = 1 - float(self.weight)
        worth = f"mixed in with a weight of {weight:.2f}" if weight >= _WORTH else "worth nothing"
        return f"{sum(sizes):,} n-grams of up to {len(sizes)} tokens ({room / 1e6:.1f} MB): {worth}"

    def _mixed(self, logits, probabilities):
        both = self.weight * tf.nn.softmax(logits) + (1 - self.weight) * probabilities
        return tf.math.log(tf.maximum(both, _LEAST))

    def get_config(self):
        parts = {"network": self.network, "ngrams": self.ngrams}
        serialized = {k: keras.saving.serialize_keras_object(one) for k, one in parts.items()}
        return {"name": self.name, **serialized}

    @classmethod
    def from_config(cls, config):
        parts = ("network", "ngrams")
        made = {k: keras.saving.deserialize_keras_object(config[k]) for k in parts}
        return cls(**{**config, **made})
