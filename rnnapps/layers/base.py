"""What the recurrent layers share: checks of arguments, and the path from Keras' call to a loop."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rnnapps.layers import scan


def check_units(units: Any, name: str = "units") -> None:
    """Raise unless `units` is a positive integer."""
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise ValueError(f"Expected `{name}` to be a positive integer. Received: {name}={units!r}")


def check_rate(rate: Any, name: str) -> None:
    """Raise unless `rate` is a dropout rate, in `[0, 1)`."""
    if not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ValueError(f"Expected `{name}` to be in [0, 1). Received: {name}={rate!r}")


def check_sizes(units: Any, num_layers: Any = 1, **rates: Any) -> None:
    """Raise unless the numbers are positive integers, and each of `rates` is a dropout rate."""
    check_units(units)
    check_units(num_layers, "num_layers")
    for name, rate in rates.items():
        check_rate(rate, name)


def check_choice(value: Any, choices: tuple, name: str) -> None:
    """Raise unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"Expected `{name}` to be one of {choices}. Received: {name}={value!r}")


def check_rank(shape: tuple, rank: int, name: str) -> None:
    """Raise unless `shape` has `rank` dimensions."""
    if len(shape) != rank:
        axes = {2: "(batch, features)", 3: "(batch, time, features)"}[rank]
        raise ValueError(f"Expected `{name}` of shape {axes}. Received: shape={tuple(shape)}")


def same_or_unknown(left: int | None, right: int | None) -> bool:
    """Whether two static dimensions can be equal."""
    return left is None or right is None or left == right


def check_memory(memory: Any, sequence: Any) -> None:
    """Raise unless a memory is of as many rows as the sequence that attends to it."""
    if not same_or_unknown(sequence.shape[0], memory.shape[0]):
        raise ValueError(
            f"Expected `memory` of the batch of `sequence`, {sequence.shape[0]}. "
            f"Received: shape={tuple(memory.shape)}"
        )


def check_initial_state(state: list, sizes: list[int], batch_size: int | None) -> None:
    """Raise unless there is one `(batch, size)` tensor for each of `sizes`."""
    shapes = [tuple(tensor.shape) for tensor in state]
    fits = len(shapes) == len(sizes) and all(
        len(shape) == 2 and shape[1] == size and same_or_unknown(shape[0], batch_size)
        for shape, size in zip(shapes, sizes, strict=True)
    )
    if not fits:
        expected = [(batch_size, size) for size in sizes]
        raise ValueError(f"Expected `initial_state` of shapes {expected}. Received: {shapes}")


def project(x, kernel, bias=None):
    """All time steps in one matrix product: `(time, batch, features) -> (time, batch, width)`."""
    kernel = tf.convert_to_tensor(kernel)
    projected = tf.reshape(x, (-1, x.shape[-1])) @ kernel
    if bias is not None:
        projected = tf.nn.bias_add(projected, tf.convert_to_tensor(bias))
    projected = tf.reshape(projected, (*split_shape(x), kernel.shape[-1]))
    return projected


def split_shape(x) -> tuple:
    """The first two dimensions, static where they are known."""
    dynamic = tf.shape(x)
    return tuple(dynamic[i] if x.shape[i] is None else x.shape[i] for i in range(2))


def in_float32(loop: Callable, x, *tensors) -> list:
    """Run a loop whose state would stand still in 16 bits, where what a step adds is rounded off.

    Args:
        loop: The loop, of as many tensors.
        x: The projected inputs, whose type decides.
        *tensors: The others; `None` stays what it is.

    Returns:
        What the loop returns, of the type of `x`.
    """
    kind = "float32" if x.dtype.size < 4 else x.dtype
    wide = [None if one is None else tf.cast(one, kind) for one in (x, *tensors)]
    return [tf.cast(result, x.dtype) for result in loop(*wide)]


def one_step(cell, x, state: list, training: bool | None = False) -> tuple:
    """Takes one step of a recurrent cell, with the state in the type of the weights.

    Under mixed precision 16 bits would round off what a step adds to a state that moves slowly.

    Args:
        cell: The cell, which computes in the type of its weights, as those of built layers do.
        x: The input, `(batch, features)`.
        state: The state before the step, a flat list.
        training: Whether to apply the cell's dropout.

    Returns:
        The output `(batch, units)` and the flat state after, as the cell computes them.
    """
    kind, sizes = cell.variable_dtype, cell.state_size
    state = [keras.ops.cast(one, kind) for one in state]
    nested = keras.tree.pack_sequence_as(sizes, state) if keras.tree.is_nested(sizes) else state
    y, state = cell(keras.ops.cast(x, kind), nested, training=training)
    return y, [keras.ops.cast(one, kind) for one in keras.tree.flatten(state)]


def go_on(layer, sequence, state: list, training: bool | None = False, mask=None) -> tuple:
    """Runs a recurrent layer on from a state; a sequence of one step, by `one_step`.

    Args:
        layer: The layer, which returns sequences and states.
        sequence: `(batch, time, features)`.
        state: The state before it.
        training: Whether to apply dropout.
        mask: `(batch, time)`, false where a step is to be skipped, or `None`.

    Returns:
        The outputs `(batch, time, units)`, and the state after in the type of the weights.
    """
    if training or mask is not None or sequence.shape[1] != 1:
        y, *state = layer(sequence, initial_state=state, mask=mask, training=training)
        return y, [keras.ops.cast(one, layer.variable_dtype) for one in state]
    y, state = one_step(layer.cell, sequence[:, 0], state)
    return keras.ops.cast(y[:, tf.newaxis], layer.compute_dtype), state


class ScanMixin:
    """Mixed in before a `keras.layers.RNN` over an LSTM-like cell: its loop is one of `scan`.

    The arguments are checked, and on a GPU in training cuDNN runs the loop where it can. In
    inference it never does: what is exported must run on a machine without one.
    """

    cudnn_layer: type[keras.layers.RNN] | None = None
    weight_drop: float = 0.0

    def scan(self, x, state: list, mask, dropout_mask, recurrent_kernel) -> tuple:
        """Run the loop over time-major `x`, with this for the cell's recurrent kernel.

        Returns:
            All outputs `(time, batch, units)`, the list of the last states, and what else a layer
            has to say.
        """
        raise NotImplementedError

    @property
    def can_scan(self) -> bool:
        """Whether the loop written by hand computes what the arguments ask for."""
        return (
            not self.unroll
            and self.cell.activation is keras.activations.tanh
            and self.cell.recurrent_activation is keras.activations.sigmoid
        )

    def can_use_cudnn(self, training: bool | None) -> bool:
        """Whether cuDNN may run the loop, on a mask that it takes."""
        return bool(
            training
            and self.cudnn_layer
            and self.can_scan
            and self.use_cudnn
            and self.cell.use_bias
            and not self.cell.recurrent_dropout
            and not self.weight_drop
            and getattr(self.cell, "reset_after", True)
            and self.compute_dtype in ("float16", "float32", "float64")
            and tf.config.list_logical_devices("GPU")
        )

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        """Create the cell's weights."""
        check_rank(sequences_shape, 3, "sequence")
        if self.weight_drop and not self.can_scan:
            raise ValueError(
                "Expected `unroll=False`, `activation='tanh'` and "
                "`recurrent_activation='sigmoid'` with `weight_drop`. Received: "
                f"weight_drop={self.weight_drop}"
            )
        if self.can_scan:  # else Keras' own loop calls the cell, in the layer's type
            self.cell.dtype_policy = self.variable_dtype  # for `one_step`
        super().build(sequences_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, sequences, initial_state=None, mask=None, training=None):
        """See the class."""
        if not self.can_scan:
            mask = self._resolve_mask(sequences, mask)
            sequences = tf.cast(sequences, self.compute_dtype)
            initial_state = self._check_state(sequences, initial_state)
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        return self._run(sequences, initial_state, mask, training)[0]

    def _run(self, sequences, initial_state, mask, training) -> tuple:
        """What `call` returns, and what else the loop returned."""
        mask = self._resolve_mask(sequences, mask)
        sequences = tf.cast(sequences, self.compute_dtype)  # Keras leaves integers as they are
        state = self._check_state(sequences, initial_state)
        if state is None:
            batch_size = tf.shape(sequences)[0]
            state = self.states if self.stateful else self.get_initial_state(batch_size)
            state = self._check_state(sequences, state)
        state = [tf.cast(tensor, self.compute_dtype) for tensor in state]
        sequences = self._drop(sequences[:, :1], sequences, self.cell.dropout, training)
        output, states, *rest = self._loop(sequences, state, mask, training)
        if self.stateful:
            for variable, value in zip(self.states, states, strict=True):
                variable.assign(tf.cast(value, variable.dtype))
        return (output, *states) if self.return_state else output, *rest

    def _resolve_mask(self, sequences, mask):
        # Keras hands the mask of its inputs only to a call of a single tensor.
        mask = getattr(sequences, "_keras_mask", None) if mask is None else mask
        mask = keras.tree.flatten(mask)[0]
        return mask if mask is None else tf.cast(mask, "bool")

    def _check_state(self, sequences, state) -> list | None:
        if state is None:
            return None
        state = keras.tree.flatten(state)
        check_initial_state(state, self.state_size, sequences.shape[0])
        return state

    def _drop(self, like, tensor, rate: float, training: bool | None):
        """Multiply `tensor` with a dropout mask of the shape of `like`."""
        if not (training and rate):
            return tensor
        return tensor * keras.random.dropout(
            tf.ones_like(like), rate, seed=self.cell.seed_generator
        )

    def _recurrent_kernel(self, training: bool | None):
        """The recurrent kernel of this batch: in training, without the weights that are dropped.

        `None` where the cell has none.
        """
        if not hasattr(self.cell, "recurrent_kernel"):
            return None
        kernel = tf.convert_to_tensor(self.cell.recurrent_kernel)
        return self._drop(kernel, kernel, self.weight_drop, training)

    def _loop(self, sequences, state: list, mask, training: bool | None) -> tuple:
        def scan():
            return self._scan_loop(sequences, state, mask, training)

        def cudnn():
            return self._cudnn_loop(sequences, state, mask)

        if not self.can_use_cudnn(training):
            return scan()
        return cudnn() if mask is None else tf.cond(is_right_padded(mask), cudnn, scan)

    def _scan_loop(self, sequences, state: list, mask, training: bool | None) -> tuple:
        x = tf.transpose(sequences, (1, 0, 2))  # (time, batch, features)
        if mask is not None:
            mask = tf.transpose(mask)[..., tf.newaxis]  # (time, batch, 1)
        if self.go_backwards:
            x = tf.reverse(x, [0])
            mask = mask if mask is None else tf.reverse(mask, [0])
        dropout_mask = None
        if training and self.cell.recurrent_dropout:
            ones = tf.ones_like(state[0])
            dropout_mask = self._drop(ones, ones, self.cell.recurrent_dropout, training)
        run = self.scan
        # What is exported must not need XLA, and outside a graph each call would compile anew.
        if training and not tf.executing_eagerly() and scan.worth_compiling(x):
            run = tf.function(run, jit_compile=True, autograph=False)
        kernel = self._recurrent_kernel(training)
        outputs, states, *rest = run(x, state, mask, dropout_mask, kernel)
        if mask is not None:
            # As in Keras: nothing is put out before the first step that is seen, and then the
            # output before, or always nothing at a masked step with zero_output_for_mask.
            seen = tf.cumsum(tf.cast(mask, "int32"), axis=0) > 0
            shown = mask if self.zero_output_for_mask else seen
            if not self.return_sequences:
                outputs, shown = outputs[-1:], shown[-1:]
            outputs = tf.where(shown, outputs, tf.zeros_like(outputs))
        output = tf.transpose(outputs, (1, 0, 2)) if self.return_sequences else outputs[-1]
        return output, states, *rest

    def _cudnn_loop(self, sequences, state: list, mask) -> tuple:
        # Dropout has been applied: training=False keeps Keras from applying it again.
        last, outputs, states = self.cudnn_layer.inner_loop(
            self, sequences, state, mask, training=False
        )
        if not self.return_sequences:
            return last, list(states)
        if mask is not None and not self.go_backwards:
            # cuDNN puts out zeros where Keras' own loop repeats the output before.
            filler = tf.zeros_like(last) if self.zero_output_for_mask else last
            outputs = tf.where(mask[..., tf.newaxis], outputs, filler[:, tf.newaxis])
        return outputs, list(states)


class CellMixin:
    """Mixed in before one of Keras' cells: its arguments are checked.

    One dropout mask serves all gates (Gal and Ghahramani, 2016).
    """

    def __init__(
        self, units: int, *, dropout: float = 0.0, recurrent_dropout: float = 0.0, **kwargs: Any
    ) -> None:
        rates = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
        check_sizes(units, **rates)
        super().__init__(units, **rates, **kwargs)
        self.dropout_mask_count = None


class CheckedScan(ScanMixin):
    """Mixed in before Keras' own LSTM or GRU: `ScanMixin`, and checks of its arguments."""

    def __init__(
        self,
        units: int,
        *args: Any,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        **kwargs: Any,
    ) -> None:
        rates = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
        check_sizes(units, **rates, weight_drop=weight_drop)
        super().__init__(units, *args, **rates, **kwargs)
        self.weight_drop = weight_drop
        self.input_spec = None  # until `build` has checked the rank

    def get_config(self) -> dict:
        """The layer's arguments; Keras' own alone, where it does nothing else than Keras' layer."""
        own = {"weight_drop": self.weight_drop} if self.weight_drop else {}
        return {**super().get_config(), **own}


def is_right_padded(mask):
    """Whether each row of `mask (batch, time)` is true, at least once, and then only false."""
    lengths = tf.reduce_sum(tf.cast(mask, "int32"), axis=1)
    padded = tf.sequence_mask(lengths, maxlen=tf.shape(mask)[1])
    return tf.reduce_all(padded == tf.cast(mask, "bool")) & tf.reduce_all(lengths > 0)


class RecurrentLayer(ScanMixin, keras.layers.RNN):
    """A `keras.layers.RNN` that is built from its cell's arguments, and checks what it is given.

    Subclasses name their cell in `cell_class`. The layer's constructor takes the cell's
    arguments and those of `keras.layers.RNN`, and `get_config` returns them.
    """

    cell_class: type[keras.Layer]

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        activity_regularizer: Any = None,
        weight_drop: float = 0.0,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        **cell_arguments: Any,
    ) -> None:
        check_rate(weight_drop, "weight_drop")
        super().__init__(
            self.cell_class(units, dtype=dtype, trainable=trainable, **cell_arguments),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            name=name,
            dtype=dtype,
            trainable=trainable,
        )
        self.weight_drop = weight_drop

    @property
    def units(self) -> int:
        """The width of the hidden state."""
        return self.cell.units

    def get_config(self) -> dict:
        """The layer's arguments and its cell's."""
        config = super().get_config()
        del config["cell"]
        cell = self.cell.get_config()
        regularizer = keras.regularizers.serialize(self.activity_regularizer)
        own = {"activity_regularizer": regularizer, "weight_drop": self.weight_drop}
        return {**cell, **config, **own}

    @classmethod
    def from_config(cls, config: dict) -> "RecurrentLayer":
        """Make the layer from what `get_config` returned."""
        return cls(**config)
