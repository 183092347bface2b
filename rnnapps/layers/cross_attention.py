"""CrossAttention: each step of a sequence attends to a memory."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from rnnapps.layers.base import check_memory, check_rank
from rnnapps.layers.heads import HeadedAttention, check_heads


@keras.saving.register_keras_serializable("rnnapps")
class CrossAttention(HeadedAttention):
    """Multi-head attention from each step of a sequence to a memory.

        q = x K + b,  k, v = m K_m + b_m,  weights = softmax(q . k / sqrt(width of a head)),
        y = (sum over the memory's steps of weights * v, of all heads) K_o + b_o

    Args:
        units: The width of the output and of all heads together; the sequence's by default.
        num_heads: Number of heads, each `units / num_heads` wide.
        dropout: Fraction of the attention weights to drop in training.
        use_bias: Whether to use the biases `b`, `b_m` and `b_o`.
        kernel_initializer: Initializer of `kernel` `(features, units)`, `memory_kernel`
            `(memory features, 2 * units)`, in the order k, v, and `output_kernel` `(units, units)`.
        seed: Seed of the dropout.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        sequence: `(batch, time, features)`.
        memory: `(batch, memory_time, memory_features)`.
        memory_mask: `(batch, memory_time)`, false at steps to ignore.
        keys: The output of `keys(memory)`, to project the memory once for many calls.
        training: Whether to apply dropout.
        return_attention_scores: Whether to also return the attention weights.

    Output:
        `(batch, time, units)`; with `return_attention_scores=True`, also the weights `(batch,
        num_heads, time, memory_time)`, zero for a fully masked memory.

    Raises:
        ValueError: If an argument or an input shape is invalid.

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).

    Example:
    >>> CrossAttention(8, num_heads=2)(np.zeros((2, 5, 3)), np.zeros((2, 4, 6))).shape
    TensorShape([2, 5, 8])
    """

    def build(self, sequence_shape: tuple, memory_shape: tuple) -> None:
        """Creates the weights."""
        check_rank(sequence_shape, 3, "sequence")
        check_rank(memory_shape, 3, "memory")
        self.width = self.units or sequence_shape[-1]
        check_heads(self.width, self.num_heads)
        self.kernel, self.bias = self.add_dense("", sequence_shape[-1], self.width)
        dense = self.add_dense("memory_", memory_shape[-1], 2 * self.width)
        self.memory_kernel, self.memory_bias = dense
        self.output_kernel, self.output_bias = self.add_dense("output_", self.width, self.width)

    def keys(self, memory) -> list:
        """The keys and values of the memory, `(batch, heads, memory_time, width)` each."""
        memory = ops.cast(memory, self.compute_dtype)
        return self.split(self.project(memory, self.memory_kernel, self.memory_bias), 2)

    def call(
        self,
        sequence,
        memory,
        memory_mask=None,
        keys=None,
        training=None,
        return_attention_scores=False,
    ):
        """See the class."""
        check_memory(memory, sequence)
        keys, values = self.keys(memory) if keys is None else keys
        (queries,) = self.split(self.project(sequence, self.kernel, self.bias))
        shown = None
        if memory_mask is not None:
            shown = ops.cast(memory_mask, "bool")[:, tf.newaxis, tf.newaxis]
        x, weights = self.attend(queries, keys, values, shown, training)
        x = self.project(x, self.output_kernel, self.output_bias)
        x = tf.ensure_shape(x, (*sequence.shape[:2], self.width))
        return (x, weights) if return_attention_scores else x

    def compute_output_spec(self, sequence, memory, return_attention_scores=False, **arguments):
        """The shapes and dtypes of the outputs."""

        def spec(*shape):
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        batch, steps, features = sequence.shape
        x = spec(batch, steps, self.units or features)
        weights = spec(batch, self.num_heads, steps, memory.shape[1])
        return (x, weights) if return_attention_scores else x

    def compute_mask(self, sequence, mask: Any = None) -> Any:
        """The sequence's mask for the output, `None` for the weights."""
        return keras.tree.flatten(mask)[0]
