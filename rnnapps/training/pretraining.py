"""Pretraining: a language model with the application's own embedding and recurrent layers."""

import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnapps.config import TrainingConfig
from rnnapps.data import StreamsByDirection
from rnnapps.layers import RecurrentStack
from rnnapps.progress import say
from rnnapps.training.checkpoint import SaveEvery, spent
from rnnapps.training.layerwise import as_whole
from rnnapps.training.loop import compile_model, fit, precision
from rnnapps.training.softmax import SampledSoftmax
from rnnapps.training.streamed import StreamedNetwork

END = 0  # the id behind each text, which is padding's elsewhere
_WINDOWS = (32, 100)  # tokens; few where the text is short
_FEWEST = 8  # streams, where it is short
_STEPS = 100  # of an epoch, where it is not
_HELD = 50_000  # tokens, at most, on which an epoch is measured
_RATE = 2  # times the learning rate of what follows: a language model bears more


def pretrain(
    embedding: keras.layers.Embedding,
    stack: RecurrentStack,
    train: Sequence[tf.RaggedTensor],
    validation: tf.RaggedTensor,
    config: TrainingConfig,
    epochs: int,
    directory: pathlib.Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Trains an embedding and a recurrent stack to predict the next token, in each direction.

    What they have learned stays in them. Training that was interrupted goes on. It belongs within
    the scope of the strategy under which the layers were made.

    Args:
        embedding: The built embedding.
        stack: The built stack over it; no layer of it may read both past and future.
        train: The texts to learn from, in parts of ragged ids `(texts, time)`.
        validation: Other texts, which choose the best weights.
        config: Its `batch_size` (the streams side by side), optimizer and `seed` are read.
        epochs: Passes over the texts, at most.
        directory: Where the state of each epoch is kept.
        callbacks: Those of the training that follows, of which `SaveEvery` counts here, too.

    Returns:
        What was measured on the first tokens of the validation texts: `perplexity` and its
        logarithm `loss`, over both directions; `epochs`, `tokens` of an epoch, and `seconds`. And
        one dictionary of metrics for each epoch.

    Raises:
        ValueError: If a layer of the stack reads both past and future.

    Reference:
        [Dai and Le, 2015](https://arxiv.org/abs/1511.01432);
        [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146).
    """
    began = time.monotonic() - spent(directory)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    ids, held = _joined(*train), _joined(validation)[:_HELD]
    streams, window = _shape(len(ids), config.batch_size)
    streams = max(1, min(streams, len(ids), len(held)) // replicas) * replicas
    with precision(config.precision):
        reader = DirectedReader(embedding, stack)
    reader.softmax.adapt(ids)
    directions = len(reader.stacks)
    batches = StreamsByDirection(ids, streams, window, directions, config.seed)
    unseen = StreamsByDirection(held, streams, window, directions)
    model = LanguageModel(reader, streams // replicas)
    config = as_whole(config)  # what is for the layers above these, later
    config = config.model_copy(update={"learning_rate": _RATE * config.learning_rate})
    compile_model(model, config, epochs * len(batches), loss=None)
    ways = "both directions" if len(reader.stacks) > 1 else "one direction"
    say([f"language model: {len(ids):,} tokens, in {ways}"])
    saving = [one for one in callbacks if isinstance(one, SaveEvery)]
    history = fit(model, batches, unseen.one_pass(), config, epochs, directory, saving)
    loss = min(epoch["val_loss"] for epoch in history)
    found = {
        "perplexity": math.exp(loss),
        "loss": loss,
        "epochs": len(history),
        "tokens": len(ids),
        "seconds": round(time.monotonic() - began, 1),
    }
    return found, history


def _shape(tokens: int, most: int) -> tuple[int, int]:
    """How many streams there are side by side, and how long their windows."""
    window = min(max(tokens // (_STEPS * most), _WINDOWS[0]), _WINDOWS[1])
    return max(min(most, tokens // (_STEPS * window)), min(most, _FEWEST)), window


def _joined(*parts: tf.RaggedTensor) -> np.ndarray:
    """All texts one after the other `(tokens,)`, each followed by `END`."""
    flat = [np.asarray(memoryview(part.flat_values)) for part in parts]  # not copied
    sizes = [len(ids) + int(part.nrows()) for ids, part in zip(flat, parts, strict=True)]
    joined = np.full(sum(sizes), END, np.result_type(*flat))
    pieces = np.split(joined, np.cumsum(sizes)[:-1])  # which are views
    for ids, part, piece in zip(flat, parts, pieces, strict=True):
        ends, inside = part.row_splits[1:].numpy(), np.ones(len(piece), bool)
        inside[ends + np.arange(len(ends))] = False
        piece[inside] = ids
    return joined


class DirectedReader(keras.layers.Layer):
    """Reads streams of tokens in one or both directions, with an embedding that is there already.

    Args:
        embedding: The built embedding.
        stack: The built stack over it.
        dropout: Share of the features of embeddings and outputs to drop, the same at all tokens.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 `(streams, directions, window)`.
        state: The list of states before the window, forwards first.
        training: Whether to apply dropout.

    Output:
        What is known of the next tokens, as embeddings `(streams, directions, window, width)`, and
        the list of states.
    """

    def __init__(
        self,
        embedding: keras.layers.Embedding,
        stack: RecurrentStack,
        dropout: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.embedding, self.stacks = embedding, stack.directions()
        self.input_dropout = keras.layers.SpatialDropout1D(dropout)
        self.output_dropout = keras.layers.SpatialDropout1D(dropout)
        width = embedding.output_dim
        same = stack.units == width  # then the states are the embeddings that are expected
        self.projections = [] if same else [keras.layers.Dense(width) for _ in self.stacks]
        for projection in self.projections:
            projection.build((None, None, stack.units))
        self.softmax = SampledSoftmax(embedding.input_dim, dtype="float32", name="softmax")
        self.softmax.build(None)
        self.built = True

    @property
    def state_sizes(self) -> list[int]:
        """The width of each state."""
        return [size for stack in self.stacks for size in stack.state_sizes]

    def call(self, ids, state, training=None):
        """See the class."""
        outputs, after, state = [], [], list(state)
        for way, stack in enumerate(self.stacks):
            count = len(stack.state_sizes)
            before, state = state[:count], state[count:]
            # The copy leaves the mask behind, to which the end of a text would be padding.
            x = tf.identity(self.embedding(ids[:, way]))  # (streams, window, width)
            x = self.input_dropout(x, training=training)
            x, last = stack(x, initial_state=before, training=training)
            x = self.output_dropout(x, training=training)
            outputs.append(self.projections[way](x) if self.projections else x)
            after += last
        return tf.stack(outputs, axis=1), after


class LanguageModel(StreamedNetwork):
    """A `DirectedReader` that carries its states on; the embedding is the softmax' kernel, too.

    Args:
        reader: The reader.
        streams: Streams side by side, on each replica.
        **kwargs: Arguments of `keras.Model`.

    Reference:
        [Press and Wolf, 2017](https://arxiv.org/abs/1608.05859).
    """

    def __init__(self, reader: DirectedReader, streams: int, **kwargs: Any):
        super().__init__(reader, streams, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean loss of a token in nats: of a sample of the vocabulary where there is much."""
        kernel = self.network.embedding.embeddings
        loss = self.network.softmax(kernel, y_pred, y, training=training)
        return loss / tf.distribute.get_strategy().num_replicas_in_sync  # which are added up
