"""AttentionDecoder: a recurrent cell that attends to a memory at each step."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers.attention import (
    MEMORY_SCORES,
    additive_score,
    dot_score,
    flat_matmul,
    masked_softmax,
)
from rnnapps.layers.base import (
    check_choice,
    check_initial_state,
    check_memory,
    check_rank,
    check_units,
    go_on,
    one_step,
)


@keras.saving.register_keras_serializable("rnnapps")
class AttentionDecoder(keras.layers.Layer):
    """A recurrent cell over a sequence, that attends to a memory at each step.

        q[t], state[t] = cell([x[t]; y[t-1]], state[t-1])         y[t-1] with input feeding only
        w[t] = softmax over s of score(q[t], memory[s])
        y[t] = tanh([sum over s of w[t, s] memory[s]; q[t]] output_kernel)

    where `score(q, m)` is one of

        "additive"     scale . tanh(q query_kernel + m memory_kernel + bias)
        "dot"          q . m
        "scaled_dot"   q . m / sqrt(width of q)
        "general"      q . (m memory_kernel)

    Args:
        cell: What runs: any cell of `keras.layers.RNN`. Without input feeding also a whole layer
            that returns its sequence and its state: it runs on its own loop, and then attention
            is paid at all steps at once, which is faster. Under mixed precision a cell computes,
            and states are, in the type of the weights.
        score: `"additive"`, `"dot"`, `"general"` or `"scaled_dot"`. The dots want a memory as wide
            as the cell's output.
        attention_units: The width of the additive score; the cell's output's by default.
        output_units: The width of `y`; the cell's output's by default.
        input_feeding: Whether the cell sees the output before.
        return_sequences: Whether to return the output at each step, or the last one.
        return_state: Whether to return the last state too.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`. One step is a sequence of one.
        memory: `(batch, memory_time, memory_features)`.
        initial_state: The cell's state, and then, unless it is to be zeros, `y` before the first
            step: a list of `(batch, width)`.
        sequence_mask: `(batch, time)`, false where a step is to be skipped.
        memory_mask: `(batch, memory_time)`, false where the memory is not to be seen.
        keys: What `keys(memory)` returned, to project the memory once for many calls.
        training: Whether to apply the cell's dropout.
        return_attention_scores: Whether to return `w` too.

    Output:
        `y`, `(batch, time, output_units)`, or `(batch, output_units)` with
        `return_sequences=False`; then, with `return_state=True`, the cell's last state and the last
        `y`, one after the other; then, with `return_attention_scores=True`, `w`,
        `(batch, time, memory_time)`.

    Raises:
        ValueError: If an argument or the shape of an input is not as expected.

    Reference:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473);
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025).
    """

    def __init__(
        self,
        cell: keras.Layer,
        score: str = "additive",
        attention_units: int | None = None,
        output_units: int | None = None,
        input_feeding: bool = True,
        return_sequences: bool = True,
        return_state: bool = False,
        **kwargs: Any,
    ) -> None:
        check_choice(score, MEMORY_SCORES, "score")
        for name, value in (("attention_units", attention_units), ("output_units", output_units)):
            if value is not None:
                check_units(value, name)
        whole = isinstance(cell, keras.layers.RNN)
        if not hasattr(cell, "state_size") or not callable(cell):
            raise ValueError(
                f"Expected `cell` to be a cell of `keras.layers.RNN`. Received: {cell}"
            )
        if whole and (input_feeding or not (cell.return_sequences and cell.return_state)):
            raise ValueError(
                "Expected a recurrent layer with `return_sequences=True` and `return_state=True`, "
                f"and `input_feeding=False`. Received: {cell}, input_feeding={input_feeding}"
            )
        super().__init__(autocast=False, **kwargs)  # which would round the state
        self.cell = cell
        self.whole = whole
        self.score = score
        self.attention_units = attention_units
        self.output_units = output_units
        self.input_feeding = input_feeding
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.supports_masking = True

    @property
    def _cells(self) -> list:
        """The cell, or those that are stacked in it."""
        return getattr(self.cell, "cells", [self.cell])

    @property
    def query_width(self) -> int:
        """The width of the cell's output."""
        size = getattr(self.cell, "output_size", None)
        return size if size is not None else keras.tree.flatten(self.cell.state_size)[0]

    @property
    def output_width(self) -> int:
        """The width of the layer's output."""
        return self.output_units or self.query_width

    @property
    def state_size(self) -> list[int]:
        """The widths of the cell's state and of `y`."""
        return [*keras.tree.flatten(self.cell.state_size), self.output_width]

    def get_initial_state(self, batch_size) -> list:
        """A state of zeros."""
        return [ops.zeros((batch_size, size), self.variable_dtype) for size in self.state_size]

    def build(self, sequence_shape: tuple, memory_shape: tuple) -> None:
        """Create the weights."""
        check_rank(sequence_shape, 3, "sequence")
        check_rank(memory_shape, 3, "memory")
        features, memory_width, query_width = sequence_shape[-1], memory_shape[-1], self.query_width
        if self.score in ("dot", "scaled_dot") and memory_width != query_width:
            raise ValueError(
                f"Expected `memory` of {query_width} features, as wide as the cell's output, with "
                f"score={self.score!r}. Received: shape={tuple(memory_shape)}"
            )
        if not self.whole:
            for cell in (self.cell, *self._cells):
                cell.dtype_policy = self.variable_dtype  # for `one_step`
        if not self.cell.built:
            time = [sequence_shape[1]] if self.whole else []
            width = features + self.output_width * self.input_feeding
            self.cell.build((sequence_shape[0], *time, width))

        def weight(name: str, shape: tuple, initializer: str = "glorot_uniform"):
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        if self.score == "additive":
            units = self.attention_units or query_width
            self.query_kernel = weight("query_kernel", (query_width, units))
            self.memory_kernel = weight("memory_kernel", (memory_width, units))
            self.bias = weight("bias", (units,), "zeros")
            self.scale = weight("scale", (units,))
        elif self.score == "general":
            self.memory_kernel = weight("memory_kernel", (memory_width, query_width))
        shape = (memory_width + query_width, self.output_width)
        self.output_kernel = weight("output_kernel", shape)

    def keys(self, memory):
        """Project the memory: what the score compares queries with, the same at each step."""
        memory = self._cast(memory)
        if self.score in ("dot", "scaled_dot"):
            return memory
        keys = flat_matmul(memory, self._cast(self.memory_kernel))
        return keys + self._cast(self.bias) if self.score == "additive" else keys

    def call(
        self,
        sequence,
        memory,
        initial_state=None,
        sequence_mask=None,
        memory_mask=None,
        keys=None,
        training=None,
        return_attention_scores=False,
    ):
        """See the class."""
        check_memory(memory, sequence)
        state = self._initial_state(sequence, initial_state)
        sequence, memory = self._cast(sequence), self._cast(memory)
        keys = self.keys(memory) if keys is None else keys
        sequence_mask = None if sequence_mask is None else ops.cast(sequence_mask, "bool")
        run = self._at_once if self.whole else self._step_by_step
        output, state, weights = run(
            sequence, state, sequence_mask, keys, memory, memory_mask, training
        )
        output = output if self.return_sequences else self._cast(state[-1])
        result = [output, *state] if self.return_state else [output]
        if return_attention_scores:
            result.append(weights)
        return tuple(result) if len(result) > 1 else output

    def _at_once(self, sequence, state, sequence_mask, keys, memory, memory_mask, training):
        """Run the layer over all steps, then attend at all steps."""
        query, cell_state = go_on(self.cell, sequence, state[:-1], training, sequence_mask)
        output, weights = self._attend(query, keys, memory, memory_mask)
        if sequence_mask is not None:  # a skipped step puts out what was put out before
            seen = tf.cumsum(tf.cast(sequence_mask, "int32"), axis=1) > 0
            output = ops.where(seen[..., tf.newaxis], output, self._cast(state[-1][:, tf.newaxis]))
        return output, [*cell_state, ops.cast(output[:, -1], self.variable_dtype)], weights

    def _step_by_step(self, sequence, state, sequence_mask, keys, memory, memory_mask, training):
        """Run the cell and attend at each step, which sees what the step before put out."""

        def step(x, state, mask):
            """`(batch, features)` and a state to the next state and the weights."""
            *cell_state, y = state
            inputs = ops.concatenate([x, self._cast(y)], axis=-1) if self.input_feeding else x
            query, cell_state = one_step(self.cell, inputs, cell_state, training)
            query = self._cast(query[:, tf.newaxis])
            y, weights = self._attend(query, keys, memory, memory_mask)
            after = [*cell_state, ops.cast(y[:, 0], self.variable_dtype)]
            if mask is not None:
                after = [ops.where(mask, new, old) for new, old in zip(after, state, strict=True)]
            return after, weights[:, 0]

        def mask_at(t):
            return None if sequence_mask is None else sequence_mask[:, t, tf.newaxis]

        # The first step is taken outside the loop: there the cell draws the dropout masks that it
        # keeps for all steps.
        steps = tf.shape(sequence)[1]
        state, first = step(sequence[:, 0], state, mask_at(0))
        outputs = tf.TensorArray(state[-1].dtype, size=steps, element_shape=state[-1].shape)
        weights = tf.TensorArray(first.dtype, size=steps, element_shape=first.shape)

        def body(t, state, outputs, weights):
            state, w = step(sequence[:, t], state, mask_at(t))
            return t + 1, state, outputs.write(t, state[-1]), weights.write(t, w)

        _, state, outputs, weights = tf.while_loop(
            lambda t, *_: t < steps,
            body,
            (tf.constant(1), state, outputs.write(0, state[-1]), weights.write(0, first)),
            maximum_iterations=steps,
        )
        self._forget_dropout()
        outputs, weights = (tf.transpose(x.stack(), (1, 0, 2)) for x in (outputs, weights))
        return self._cast(outputs), state, weights

    def _initial_state(self, sequence, state) -> list:
        zeros = self.get_initial_state(ops.shape(sequence)[0])
        if state is None:
            return zeros
        state = keras.tree.flatten(state)
        if len(state) == len(zeros) - 1:
            state = [*state, zeros[-1]]
        check_initial_state(state, self.state_size, sequence.shape[0])
        return [ops.cast(tensor, self.variable_dtype) for tensor in state]

    def _cast(self, tensor):
        """To the type that everything but the state is computed in."""
        return ops.cast(tensor, self.compute_dtype)

    def _attend(self, query, keys, memory, memory_mask) -> tuple:
        """`(batch, queries, width)` to outputs `(batch, queries, width)`, and the weights."""
        if self.score == "additive":
            query_keys = flat_matmul(query, self._cast(self.query_kernel))
            scores = additive_score(keys, self._cast(self.scale), query_keys)
        else:
            scores = dot_score(keys, query)
        if self.score == "scaled_dot":
            scores = scores / self.query_width**0.5
        mask = None if memory_mask is None else ops.cast(memory_mask, "bool")[:, tf.newaxis]
        weights = masked_softmax(scores, mask)  # (batch, queries, memory_time)
        seen = ops.concatenate([ops.matmul(weights, memory), query], axis=-1)
        return ops.tanh(flat_matmul(seen, self._cast(self.output_kernel))), weights

    def _forget_dropout(self) -> None:
        for cell in self._cells:
            if hasattr(cell, "reset_dropout_mask"):
                cell.reset_dropout_mask()
                cell.reset_recurrent_dropout_mask()

    def compute_mask(self, sequence, mask=None):
        """The sequence's mask on the outputs; the states and the weights have none."""
        mask = keras.tree.flatten(mask)[0] if self.return_sequences else None
        states = [None] * len(self.state_size) if self.return_state else []
        return [mask, *states] if states else mask

    def get_config(self) -> dict:
        """The layer's arguments."""
        config = {
            "cell": keras.saving.serialize_keras_object(self.cell),
            "score": self.score,
            "attention_units": self.attention_units,
            "output_units": self.output_units,
            "input_feeding": self.input_feeding,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
        }
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict) -> "AttentionDecoder":
        """Make the layer from what `get_config` returned."""
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})
