"""RecurrentStack: recurrent layers, one on top of the other."""

from typing import Any

import keras

from rnnapps.compatibility import with_new_keys
from rnnapps.layers.base import check_choice, check_rank, check_rate, check_units
from rnnapps.layers.registry import independent_seeds, recurrent

NORMALIZATIONS = (None, "layer", "batch")


def _listed(results) -> list:
    """What a layer returned, as a list also where it is one tensor."""
    return list(results) if isinstance(results, list | tuple) else [results]


@keras.saving.register_keras_serializable("rnnapps")
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers, one on top of the other.

    Each layer is followed by its normalization, and a residual connection around both where the
    widths agree (the first layer's often do not); dropout lies between the layers. In a stack of
    `"attention_lstm"` only the top layer attends, the ones below are LSTMs. A top layer that
    returns one vector for the whole sequence has no residual connection.

    Args:
        cell: One of `rnnapps.config.CELLS`, to which `rnnapps.layers.register` adds.
        units: The width of each layer, in each direction.
        num_layers: How many layers.
        bidirectional: Whether each layer runs in both directions.
        residual: Whether to add each layer's input to its output.
        normalization: `None`, `"layer"` or `"batch"`, after each layer; `"batch"` takes its
            statistics from the unmasked steps.
        dropout: The share of features to drop between the layers.
        recurrent_dropout: The share of the recurrent connections to drop.
        return_sequences: Whether to return the top layer's output at each step, or the last one.
        return_state: Whether to return the last states of all layers too.
        seed: Seed of the dropouts, of which each draws for itself.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, false where a step is to be skipped.
        training: Whether to apply dropout.
        return_attention_scores: Whether to return the weights too, where the top layer is an
            `AttentionLSTM`; of both directions their mean.
        initial_state: The states before the first step, as `return_state=True` returns them; zeros
            by default.

    Output:
        `(batch, time, width)`, or `(batch, width)` with `return_sequences=False`, where the width
        is `units`, or `2 * units` in both directions; then, with `return_attention_scores=True`,
        the weights `(batch, time)`; then, with `return_state=True`, the list of the last states,
        from the lowest layer to the top one.

    Raises:
        ValueError: If an argument or the shape of the input is not as expected.
    """

    def __init__(
        self,
        cell: str,
        units: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        normalization: str | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = True,
        return_state: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_units(units)
        check_units(num_layers, "num_layers")
        check_choice(normalization, NORMALIZATIONS, "normalization")
        check_rate(dropout, "dropout")
        check_rate(recurrent_dropout, "recurrent_dropout")
        super().__init__(**kwargs)
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.normalization = normalization
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.seed = seed
        self.supports_masking = True

        self.layers = []
        self.normalizations = []
        self.dropouts = []
        seeds = independent_seeds(seed, 2 * num_layers)
        for index in range(num_layers):
            top = index == num_layers - 1
            below = "lstm" if cell == "attention_lstm" else cell
            self.layers.append(
                recurrent(
                    cell if top else below,
                    units,
                    bidirectional=bidirectional,
                    recurrent_dropout=recurrent_dropout,
                    return_sequences=return_sequences or not top,
                    return_state=return_state,
                    seed=seeds[index],
                    dtype=self.dtype_policy,
                    name=f"{cell if top else below}_{index}",
                )
            )
            if normalization == "layer":
                self.normalizations.append(keras.layers.LayerNormalization(dtype=self.dtype_policy))
            elif normalization == "batch":
                self.normalizations.append(keras.layers.BatchNormalization(dtype=self.dtype_policy))
            if dropout and not top:
                self.dropouts.append(
                    keras.layers.Dropout(
                        dropout, seed=seeds[num_layers + index], dtype=self.dtype_policy
                    )
                )

    @property
    def width(self) -> int:
        """The number of features of the output."""
        return self.units * (2 if self.bidirectional else 1)

    @property
    def state_sizes(self) -> list[int]:
        """The width of each state, from the lowest layer to the top one."""
        return [size for layer in self.layers for size in self._sizes(layer)]

    def _sizes(self, layer) -> list[int]:
        one = layer.forward_layer if self.bidirectional else layer
        return keras.tree.flatten(one.cell.state_size) * (2 if self.bidirectional else 1)

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

    def call(
        self,
        sequence,
        mask=None,
        training=None,
        return_attention_scores=False,
        initial_state=None,
    ):
        """See the class."""
        if return_attention_scores and self.cell != "attention_lstm":
            raise ValueError(
                "Expected cell='attention_lstm' with `return_attention_scores=True`. "
                f"Received: cell={self.cell!r}"
            )
        mask = getattr(sequence, "_keras_mask", None) if mask is None else mask
        x = keras.ops.cast(sequence, self.compute_dtype)  # Keras leaves integers as they are
        weights, last = None, []
        states = self._per_layer(initial_state)
        for index, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            top = index == self.num_layers - 1
            arguments = {"initial_state": state, "mask": mask, "training": training}
            if top and return_attention_scores:
                y, weights, state = self._attend(layer, x, arguments)
            else:
                y, *state = _listed(layer(x, **arguments))
            last += state
            x = self._after(index, x, y, mask, training)
        results = [x, weights] if return_attention_scores else [x]
        results += [last] if self.return_state else []
        return tuple(results) if len(results) > 1 else x

    def step(self, x, state: list):
        """Takes one step, without dropout: what `call` does with a sequence of length 1, faster.

        Args:
            x: The input, `(batch, features)`.
            state: The states before the step, as `call` returns them.

        Returns:
            The output `(batch, units)`, and the states after.
        """
        after = []
        states = self._per_layer(state)
        for index, (layer, before) in enumerate(zip(self.layers, states, strict=True)):
            before = before[0] if len(before) == 1 else before
            y, state = layer.cell(x, before, training=False)
            after += keras.tree.flatten(state)
            x = self._after(index, x, y, None, False)
        return x, after

    def _per_layer(self, state: list | None) -> list:
        """The states of each layer."""
        if state is None:
            return [None] * self.num_layers
        state, parts = list(state), []
        for layer in self.layers:
            count = len(self._sizes(layer))
            parts.append(state[:count])
            state = state[count:]
        return parts

    def _after(self, index: int, x, y, mask, training):
        """What lies behind a layer that made `y` of `x`: normalization, residual, dropout."""
        if self.normalization == "batch" and len(y.shape) == 3:
            y = self.normalizations[index](y, mask=mask, training=training)
        elif self.normalizations:
            y = self.normalizations[index](y)
        if self.residual and y.shape[1:] == x.shape[1:]:
            y = y + x
        top = index == self.num_layers - 1
        return self.dropouts[index](y, training=training) if self.dropouts and not top else y

    def _attend(self, layer, x, arguments: dict):
        """The top layer's output, its attention weights `(batch, time)`, and its states."""
        if not self.bidirectional:
            y, *state, weights = layer(x, return_attention_scores=True, **arguments)
            return y, weights, state
        state = arguments.pop("initial_state") or []
        half = len(state) // 2
        both = [
            one(x, initial_state=part or None, return_attention_scores=True, **arguments)
            for one, part in (
                (layer.forward_layer, state[:half]),
                (layer.backward_layer, state[half:]),
            )
        ]
        (forward, *forward_state, ahead), (backward, *backward_state, back) = both
        if self.return_sequences:
            backward = keras.ops.flip(backward, axis=1)
        y = keras.ops.concatenate([forward, backward], axis=-1)
        return y, (ahead + back) / 2, [*forward_state, *backward_state]

    def compute_mask(self, sequence, mask=None):
        """The input's mask, where the output has a time axis."""
        return mask if self.return_sequences else None

    def compute_output_shape(self, sequence_shape: tuple) -> tuple:
        """The output's shape."""
        time = sequence_shape[1:2] if self.return_sequences else ()
        return (sequence_shape[0], *time, self.width)

    def compute_output_spec(self, sequence, return_attention_scores=False, **arguments):
        """The outputs' shapes and types."""

        def spec(*shape):
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        results = [spec(*self.compute_output_shape(sequence.shape))]
        results += [spec(*sequence.shape[:2])] if return_attention_scores else []
        if self.return_state:
            results.append([spec(sequence.shape[0], size) for size in self.state_sizes])
        return tuple(results) if len(results) > 1 else results[0]

    def get_config(self) -> dict:
        """The layer's arguments."""
        config = {
            "cell": self.cell,
            "units": self.units,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "residual": self.residual,
            "normalization": self.normalization,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict) -> "RecurrentStack":
        """Makes the layer from what `get_config` returned, of version 0.1.0 too."""
        return cls(**with_new_keys("RecurrentStack", config))
