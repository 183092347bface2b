"""The one place that turns the name of a cell into layers, and a stack of them."""

from typing import Any

import keras

from rnnapps.layers.attention_lstm import AttentionLSTM
from rnnapps.layers.base import check_choice, check_rank, check_rate, check_units
from rnnapps.layers.gru import GRU
from rnnapps.layers.layer_norm_lstm import LayerNormLSTM
from rnnapps.layers.lstm import LSTM
from rnnapps.layers.peephole_lstm import PeepholeLSTM

_LAYERS = {
    "simple_rnn": keras.layers.SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "peephole_lstm": PeepholeLSTM,
    "layer_norm_lstm": LayerNormLSTM,
    "attention_lstm": AttentionLSTM,
}
CELLS = tuple(_LAYERS)
NORMALIZATIONS = (None, "layer", "batch")


def recurrent(kind: str, units: int, bidirectional: bool = False, **arguments: Any) -> keras.Layer:
    """Return a recurrent layer by the name of its cell.

    Args:
        kind: One of `CELLS`.
        units: The width of the hidden state, in each direction.
        bidirectional: Whether to run in both directions, and concatenate.
        **arguments: Arguments of the layer: `return_sequences`, `dropout`, ...

    Returns:
        The layer, or a `keras.layers.Bidirectional` around it.

    Raises:
        ValueError: If there is no such cell, or an argument cannot be.
    """
    check_choice(kind, CELLS, "kind")
    check_units(units)
    name = arguments.pop("name", None)
    if not bidirectional:
        return _LAYERS[kind](units, name=name, **arguments)
    return keras.layers.Bidirectional(_LAYERS[kind](units, **arguments), name=name)


@keras.saving.register_keras_serializable("rnnapps")
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers, one on top of the other.

    Each layer is followed by its normalization, and a residual connection around both where the
    widths agree (the first layer's often do not); dropout lies between the layers. In a stack of
    `"attention_lstm"` only the top layer attends, the ones below are LSTMs. A top layer that
    returns one vector for the whole sequence has no residual connection.

    Args:
        kind: One of `CELLS`.
        units: The width of each layer, in each direction.
        num_layers: How many layers.
        bidirectional: Whether each layer runs in both directions.
        residual: Whether to add each layer's input to its output.
        normalization: `None`, `"layer"` or `"batch"`, after each layer; `"batch"` takes its
            statistics from the unmasked steps.
        dropout: The share of features to drop between the layers.
        recurrent_dropout: The share of the recurrent connections to drop.
        return_sequences: Whether to return the top layer's output at each step, or the last one.
        seed: Seed of the dropouts.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, false where a step is to be skipped.
        training: Whether to apply dropout.
        return_attention_scores: Whether to return the weights too, where the top layer is an
            `AttentionLSTM`; of both directions their mean.

    Output:
        `(batch, time, width)`, or `(batch, width)` with `return_sequences=False`, where the width
        is `units`, or `2 * units` in both directions; then, with `return_attention_scores=True`,
        the weights `(batch, time)`.

    Raises:
        ValueError: If an argument or the shape of the input cannot be.
    """

    def __init__(
        self,
        kind: str,
        units: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        normalization: str | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice(kind, CELLS, "kind")
        check_units(units)
        check_units(num_layers, "num_layers")
        check_choice(normalization, NORMALIZATIONS, "normalization")
        check_rate(dropout, "dropout")
        check_rate(recurrent_dropout, "recurrent_dropout")
        super().__init__(**kwargs)
        self.kind = kind
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.normalization = normalization
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.return_sequences = return_sequences
        self.seed = seed
        self.supports_masking = True

        self.layers = []
        self.normalizations = []
        self.dropouts = []
        for index in range(num_layers):
            top = index == num_layers - 1
            below = "lstm" if kind == "attention_lstm" else kind
            self.layers.append(
                recurrent(
                    kind if top else below,
                    units,
                    bidirectional=bidirectional,
                    recurrent_dropout=recurrent_dropout,
                    return_sequences=return_sequences or not top,
                    seed=None if seed is None else seed + index,
                    dtype=self.dtype_policy,
                    name=f"{kind if top else below}_{index}",
                )
            )
            if normalization == "layer":
                self.normalizations.append(keras.layers.LayerNormalization(dtype=self.dtype_policy))
            elif normalization == "batch":
                self.normalizations.append(keras.layers.BatchNormalization(dtype=self.dtype_policy))
            if dropout and not top:
                self.dropouts.append(
                    keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)
                )

    @property
    def width(self) -> int:
        """The number of features of the output."""
        return self.units * (2 if self.bidirectional else 1)

    def build(self, sequence_shape: tuple) -> None:
        """Create the weights."""
        check_rank(sequence_shape, 3, "sequence")
        shape = tuple(sequence_shape)
        for index, layer in enumerate(self.layers):
            layer.build(shape)
            shape = (*shape[:2], self.width)
            if self.normalizations:
                flat = index == self.num_layers - 1 and not self.return_sequences
                self.normalizations[index].build((shape[0], self.width) if flat else shape)

    def call(self, sequence, mask=None, training=None, return_attention_scores=False):
        """See the class."""
        if return_attention_scores and self.kind != "attention_lstm":
            raise ValueError(
                "Expected kind='attention_lstm' with `return_attention_scores=True`. "
                f"Received: kind={self.kind!r}"
            )
        x = sequence
        weights = None
        for index, layer in enumerate(self.layers):
            top = index == self.num_layers - 1
            if top and return_attention_scores:
                y, weights = self._attend(layer, x, mask, training)
            else:
                y = layer(x, mask=mask, training=training)
            if self.normalization == "batch" and len(y.shape) == 3:
                y = self.normalizations[index](y, mask=mask, training=training)
            elif self.normalizations:
                y = self.normalizations[index](y)
            if self.residual and y.shape[1:] == x.shape[1:]:
                y = y + x
            x = self.dropouts[index](y, training=training) if self.dropouts and not top else y
        return (x, weights) if return_attention_scores else x

    def _attend(self, layer, x, mask, training):
        """The top layer's output and attention weights `(batch, time)`."""
        arguments = {"mask": mask, "training": training, "return_attention_scores": True}
        if not self.bidirectional:
            return layer(x, **arguments)
        forward, forward_weights = layer.forward_layer(x, **arguments)
        backward, backward_weights = layer.backward_layer(x, **arguments)
        if self.return_sequences:
            backward = keras.ops.flip(backward, axis=1)
        weights = (forward_weights + backward_weights) / 2
        return keras.ops.concatenate([forward, backward], axis=-1), weights

    def compute_mask(self, sequence, mask=None):
        """The input's mask, where the output has a time axis."""
        return mask if self.return_sequences else None

    def compute_output_shape(self, sequence_shape: tuple) -> tuple:
        """The output's shape."""
        time = sequence_shape[1:2] if self.return_sequences else ()
        return (sequence_shape[0], *time, self.width)

    def compute_output_spec(self, sequence, return_attention_scores=False, **arguments):
        """The outputs' shapes and types."""
        shape = self.compute_output_shape(sequence.shape)
        output = keras.KerasTensor(shape, dtype=self.compute_dtype)
        weights = keras.KerasTensor(sequence.shape[:2], dtype=self.compute_dtype)
        return (output, weights) if return_attention_scores else output

    def get_config(self) -> dict:
        """The layer's arguments."""
        config = {
            "kind": self.kind,
            "units": self.units,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "residual": self.residual,
            "normalization": self.normalization,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "return_sequences": self.return_sequences,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}
