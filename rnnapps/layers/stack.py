"""RecurrentStack: recurrent layers, one on top of the other."""

from typing import Any

import keras

from rnnapps.compatibility import with_new_keys
from rnnapps.layers.base import check_choice, check_rank, check_sizes, one_step
from rnnapps.layers.pre_norm import BLOCKS, PreNormBlock
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
        weight_drop: The share of the recurrent kernels' weights to drop, the same for a batch
            (Merity et al., 2018), of the cells that rnnapps itself has.
        separate_directions: Whether each direction is a stack of its own, which meets the other
            behind its top layer (Peters et al., 2018), so that no layer sees both the past and the
            future. Normalization and residual connections are then those of each direction.
        block: What stands around each layer: `"plain"`, what `residual` and `normalization` say, or
            `"pre_norm"`, a `PreNormBlock`, with a last normalization behind the top one.
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

    Reference:
        [Merity et al., 2018](https://arxiv.org/abs/1708.02182);
        [Peters et al., 2018](https://arxiv.org/abs/1802.05365).
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
        weight_drop: float = 0.0,
        separate_directions: bool = False,
        block: str = "plain",
        return_sequences: bool = True,
        return_state: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        rates = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
        check_sizes(units, num_layers, **rates, weight_drop=weight_drop)
        check_choice(normalization, NORMALIZATIONS, "normalization")
        check_choice(block, BLOCKS, "block")
        if block != "plain" and (residual or normalization):
            raise ValueError(
                f"Expected `residual=False` and `normalization=None` with block={block!r}, which "
                f"has both. Received: residual={residual}, normalization={normalization!r}"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.normalization = normalization
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.separate_directions = separate_directions
        self.block = block
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.seed = seed
        self.supports_masking = True

        self.layers = []
        self.normalizations = []
        self.dropouts = []
        self.blocks = []
        self.last_normalization = None
        self.stacks = []
        if bidirectional and separate_directions:
            self._make_stacks()
            return
        own = {"weight_drop": weight_drop} if weight_drop else {}  # Keras' own cells have none
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
                    **own,
                )
            )
            if normalization == "layer":
                self.normalizations.append(keras.layers.LayerNormalization(dtype=self.dtype_policy))
            elif normalization == "batch":
                self.normalizations.append(keras.layers.BatchNormalization(dtype=self.dtype_policy))
            if block == "pre_norm":
                self.blocks.append(
                    PreNormBlock(
                        self.width,
                        dropout,
                        to_vector=top and not return_sequences,
                        seed=seeds[num_layers + index],
                        dtype=self.dtype_policy,
                        name=f"block_{index}",
                    )
                )
            elif dropout and not top:
                self.dropouts.append(
                    keras.layers.Dropout(
                        dropout, seed=seeds[num_layers + index], dtype=self.dtype_policy
                    )
                )

        if self.blocks:
            self.last_normalization = keras.layers.LayerNormalization(dtype=self.dtype_policy)

    def _make_stacks(self) -> None:
        """A stack for each direction."""
        arguments = {**self.get_config(), "bidirectional": False, "separate_directions": False}
        for name, seed in zip(
            ("forward", "backward"), independent_seeds(self.seed, 2), strict=True
        ):
            own = {"name": name, "seed": seed, "dtype": self.dtype_policy}
            self.stacks.append(RecurrentStack(**{**arguments, **own}))

    def directions(self) -> list["RecurrentStack"]:
        """One stack for each direction, of the same weights, from the past to what comes next.

        A stack for the backward direction reads a sequence that has been turned round. Each returns
        sequences and states. What lies behind the place where the directions meet is in neither.

        Returns:
            The stacks, forward first; one where this stack runs in one direction.

        Raises:
            ValueError: If a layer above the lowest reads both directions, or a block that is not
                plain, or the stack attends.
        """
        if self.cell == "attention_lstm":
            raise ValueError("Expected a cell that does not attend. Received: 'attention_lstm'")
        if self.stacks:
            return [one for stack in self.stacks for one in stack.directions()]
        if not self.bidirectional:
            return [self._one_way(self.layers, whole=True)]
        if self.num_layers > 1 or self.blocks:
            raise ValueError(
                "Expected `separate_directions=True` with several layers in both directions, or "
                "blocks that are not plain."
            )
        (both,) = self.layers
        return [self._one_way([one], False) for one in (both.forward_layer, both.backward_layer)]

    def _one_way(self, layers: list, whole: bool) -> "RecurrentStack":
        """A stack of layers with the cells of these; `whole` with what lies behind them."""
        one_way = {"bidirectional": False, "return_sequences": True, "return_state": True}
        arguments = {**self.get_config(), **one_way, "dtype": self.dtype_policy}
        if not whole:
            arguments |= {"normalization": None, "residual": False}
        stack = RecurrentStack(**arguments)
        for mine, theirs in zip(stack.layers, layers, strict=True):
            mine.cell = theirs.cell
        if whole:
            stack.normalizations, stack.dropouts = self.normalizations, self.dropouts
            stack.blocks, stack.last_normalization = self.blocks, self.last_normalization
        stack.build((None, None, layers[0].cell.kernel.shape[0]))
        return stack

    @property
    def width(self) -> int:
        """The number of features of the output."""
        return self.units * (2 if self.bidirectional else 1)

    @property
    def state_sizes(self) -> list[int]:
        """The width of each state, from the lowest layer to the top one."""
        if self.stacks:
            return [size for stack in self.stacks for size in stack.state_sizes]
        return [size for layer in self.layers for size in self._sizes(layer)]

    def first_state(self, batch_size) -> list:
        """The state before the first step: zeros.

        States are of the type of the weights, also under mixed precision: 16 bits would round off
        what a step adds to a state that moves slowly.

        Args:
            batch_size: Rows of the batch.

        Returns:
            The states, as `call` returns them.
        """
        sizes = self.state_sizes
        return [keras.ops.zeros((batch_size, size), self.variable_dtype) for size in sizes]

    def _sizes(self, layer) -> list[int]:
        one = layer.forward_layer if self.bidirectional else layer
        return keras.tree.flatten(one.cell.state_size) * (2 if self.bidirectional else 1)

    def build(self, sequence_shape: tuple) -> None:
        """Create the weights."""
        check_rank(sequence_shape, 3, "sequence")
        shape = tuple(sequence_shape)
        for stack in self.stacks:
            stack.build(shape)
        for index, layer in enumerate(self.layers):
            layer.build(shape)
            if self.blocks and not self.blocks[index].built:
                self.blocks[index].build(shape)
            shape = (*shape[:2], self.width)
            if self.normalizations and not self.normalizations[index].built:
                flat = index == self.num_layers - 1 and not self.return_sequences
                self.normalizations[index].build((shape[0], self.width) if flat else shape)
        if self.last_normalization and not self.last_normalization.built:
            self.last_normalization.build(shape)

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
        if self.stacks:
            arguments = {"training": training, "return_attention_scores": return_attention_scores}
            return self._both_ways(x, mask, initial_state, arguments)
        weights, last = None, []
        states = self._per_layer(initial_state)
        for index, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            top = index == self.num_layers - 1
            arguments = {"initial_state": state, "mask": mask, "training": training}
            read = self._before(index, x)
            if top and return_attention_scores:
                y, weights, state = self._attend(layer, read, arguments)
            else:
                y, *state = _listed(layer(read, **arguments))
            last += [keras.ops.cast(one, self.variable_dtype) for one in state]
            x = self._after(index, x, read, y, mask, training)
        results = [x, weights] if return_attention_scores else [x]
        results += [last] if self.return_state else []
        return tuple(results) if len(results) > 1 else x

    def _both_ways(self, x, mask, state: list | None, arguments: dict):
        """What `call` returns, of a stack for each direction."""
        forward, backward = self.stacks
        turned = None if mask is None else keras.ops.flip(mask, axis=1)
        half = len(forward.state_sizes)
        ahead, back = [] if state is None else state[:half], [] if state is None else state[half:]
        one = _listed(forward(x, mask=mask, initial_state=ahead or None, **arguments))
        x = keras.ops.flip(x, axis=1)
        other = _listed(backward(x, mask=turned, initial_state=back or None, **arguments))
        if self.return_sequences:
            other[0] = keras.ops.flip(other[0], axis=1)
        results = [keras.ops.concatenate([one[0], other[0]], axis=-1)]
        if arguments["return_attention_scores"]:
            results.append((one[1] + keras.ops.flip(other[1], axis=1)) / 2)
        results += [[*one[-1], *other[-1]]] if self.return_state else []
        return tuple(results) if len(results) > 1 else results[0]

    def step(self, x, state: list):
        """Takes one step, without dropout: what `call` does with a sequence of length 1, faster.

        Args:
            x: The input, `(batch, features)`.
            state: The states before the step, as `call` returns them.

        Returns:
            The output `(batch, units)`, and the states after.
        """
        x, after = keras.ops.cast(x, self.compute_dtype), []
        states = self._per_layer(state)
        for index, (layer, before) in enumerate(zip(self.layers, states, strict=True)):
            read = self._before(index, x)
            y, state = one_step(layer.cell, read, before)
            after += state
            x = self._after(index, x, read, keras.ops.cast(y, self.compute_dtype), None, False)
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

    def _before(self, index: int, x):
        """What a layer reads of `x`."""
        return self.blocks[index].before(x) if self.blocks else x

    def _after(self, index: int, x, read, y, mask, training):
        """What lies behind a layer that read `read` of `x` and made `y` of it."""
        top = index == self.num_layers - 1
        if self.blocks:
            x = self.blocks[index](x, read, y, training=training)
            return self.last_normalization(x) if top else x
        if self.normalization == "batch" and len(y.shape) == 3:
            y = self.normalizations[index](y, mask=mask, training=training)
        elif self.normalizations:
            y = self.normalizations[index](y)
        to_vector = top and not self.return_sequences
        if self.residual and not to_vector and y.shape[1:] == x.shape[1:]:
            y = y + x
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

        def spec(*shape, dtype=self.compute_dtype):
            return keras.KerasTensor(shape, dtype=dtype)

        results = [spec(*self.compute_output_shape(sequence.shape))]
        results += [spec(*sequence.shape[:2])] if return_attention_scores else []
        if self.return_state:
            batch, dtype = sequence.shape[0], self.variable_dtype
            results.append([spec(batch, size, dtype=dtype) for size in self.state_sizes])
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
            "weight_drop": self.weight_drop,
            "separate_directions": self.separate_directions,
            "block": self.block,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict) -> "RecurrentStack":
        """Makes the layer from what `get_config` returned, of version 0.1.0 too."""
        return cls(**with_new_keys("RecurrentStack", config))
