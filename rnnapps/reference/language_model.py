"""A word-level language model: which word comes next?"""

import numpy as np

from rnnapps.reference.activations import softmax
from rnnapps.reference.dense import Dense
from rnnapps.reference.dropout import Dropout
from rnnapps.reference.embedding import Embedding
from rnnapps.reference.layer import Array
from rnnapps.reference.losses import softmax_cross_entropy
from rnnapps.reference.lstm import LSTM
from rnnapps.reference.network import Network
from rnnapps.reference.recurrent import Recurrent, State

Batch = tuple[np.ndarray, np.ndarray]  # words and next words, integers of shape (batch, time)


def encode_words(text: str) -> tuple[np.ndarray, list[str]]:
    """Encode a text as ids; `vocabulary[id]` is the word.

    Args:
        text: Words with spaces between them.

    Returns:
        Ids `(words,)`, and the vocabulary.
    """
    vocabulary, ids = np.unique(text.split(), return_inverse=True)
    return ids, vocabulary.tolist()


def next_word_examples(ids: np.ndarray, time: int) -> Batch:
    """Split a text into pieces, each with the piece shifted by one word as its target.

    Args:
        ids: Shape `(words,)`.
        time: Length of a piece; the remainder is dropped.

    Returns:
        Words and next words, both of shape `(pieces, time)`.
    """
    pieces = (len(ids) - 1) // time
    return ids[: pieces * time].reshape(-1, time), ids[1 : pieces * time + 1].reshape(-1, time)


class LanguageModel(Network):
    """Embedding, recurrent layer, dropout, and a softmax over the vocabulary at every step.

        p(next word | words so far) = softmax(h[t] W + b)

    The loss is the cross-entropy: the mean of -log p(next word), in nats per word.

    Args:
        vocabulary_size: Number of words.
        embedding_units: Size of a word's embedding.
        units: Size of the recurrent layer.
        dropout: Fraction of the recurrent layer's outputs to drop in training.
        cell: Kind of recurrent layer.
        seed: Seed of the initial weights.

    Reference:
        Mikolov et al., 2010, Recurrent neural network based language model.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_units: int,
        units: int,
        dropout: float = 0.0,
        cell: type[Recurrent] = LSTM,
        seed: int = 0,
    ):
        rng = np.random.default_rng(seed)
        self.embedding = Embedding(vocabulary_size, embedding_units, rng)
        self.recurrent = cell(embedding_units, units, seed=rng)
        self.dropout = Dropout(dropout)
        self.dense = Dense(units, vocabulary_size, rng)
        self.layers = {
            "embedding": self.embedding,
            "recurrent": self.recurrent,
            "dense": self.dense,
        }

    def predict(self, words: np.ndarray, state: State | None = None) -> tuple[Array, State]:
        """Return p(next word) at every step, `(batch, time, vocabulary_size)`, and the state."""
        h, state, _ = self.recurrent.forward(self.embedding.forward(words)[0], None, state)
        return softmax(self.dense.forward(h)[0]), state

    def loss(self, batch: Batch) -> float:
        """Return the mean loss per word, in nats; its exponential is the perplexity."""
        return self.loss_and_gradients(batch)[0]

    def loss_and_gradients(
        self, batch: Batch, rng: np.random.Generator | None = None
    ) -> tuple[float, dict[str, Array]]:
        """Run one forward and backward pass; with `rng`, with dropout."""
        words, next_words = batch
        x, embedding_cache = self.embedding.forward(words)  # (batch, time, embedding_units)
        h, _, recurrent_cache = self.recurrent.forward(x)  # (batch, time, units)
        y, dropout_cache = self.dropout.forward(h, rng)
        logits, dense_cache = self.dense.forward(y)  # (batch, time, vocabulary_size)
        loss, d_logits = softmax_cross_entropy(logits, next_words)

        dense = self.dense.backward(d_logits, dense_cache)
        dropped = self.dropout.backward(dense.inputs, dropout_cache)
        recurrent = self.recurrent.backward(dropped.inputs, recurrent_cache)
        embedding = self.embedding.backward(recurrent.inputs, embedding_cache)
        return loss, self.named(embedding=embedding, recurrent=recurrent, dense=dense)

    def generate(self, prompt: list[int], length: int, rng: np.random.Generator) -> list[int]:
        """Continue a prompt: sample a word, feed it back, sample the next.

        Args:
            prompt: Ids of the first words, at least one.
            length: Number of words to generate.
            rng: Random generator.

        Returns:
            The ids of the generated words.
        """
        words, state = list(prompt), None
        read = words
        for _ in range(length):
            p, state = self.predict(np.array([read]), state)
            read = [int(rng.choice(p.shape[-1], p=p[0, -1]))]
            words += read
        return words[len(prompt) :]
