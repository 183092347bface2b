"""The embedding: a table with one vector per word."""

import numpy as np

from rnnapps.reference.layer import Array, Gradients, Layer


class Embedding(Layer):
    """Look up the row of each id: y = E[id].

    This equals the product of a one-hot vector with E, so a row's gradient is the sum of dy over
    the positions of its id; words that do not occur get zero.

    Args:
        vocabulary_size: Number of ids, from 0 to `vocabulary_size - 1`.
        units: Size of a row.
        seed: Seed, or generator, of the initial weights.

    Weights:
        embeddings `(vocabulary_size, units)`.
    """

    def __init__(self, vocabulary_size: int, units: int, seed: int | np.random.Generator = 0):
        rng = np.random.default_rng(seed)
        self.params = {"embeddings": rng.uniform(-0.05, 0.05, (vocabulary_size, units))}

    def forward(self, ids: np.ndarray) -> tuple[Array, np.ndarray]:
        """Look up integers of any shape: outputs of shape `(*ids.shape, units)`, and a cache."""
        return self.params["embeddings"][ids], ids

    def backward(self, dy: Array, cache: np.ndarray) -> Gradients:
        """Return the gradients, given dL/dy; ids have none: `inputs` is None."""
        gradients = self.zero_gradients()
        np.add.at(gradients["embeddings"], cache, dy)
        return Gradients(None, gradients)
