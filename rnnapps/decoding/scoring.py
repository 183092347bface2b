"""The log-likelihood of given texts."""

from collections.abc import Callable

import tensorflow as tf


def token_costs(
    read: Callable, state: list, inputs: tf.Tensor, targets: tf.Tensor, size: int | tf.Tensor
) -> tuple[tf.Tensor, list]:
    """The cross-entropy of each token, given those before it.

    The sequences are read a part at a time, so that few logits are in memory.

    Args:
        read: From int32 ids `(batch, steps)` and the state before them to the logits `(batch,
            steps, vocabulary)` and the state after.
        state: The state before the first step.
        inputs: What is read at each step, int32 `(batch, time)`.
        targets: The token to be told of each step, int32 `(batch, time)`.
        size: Steps of a part.

    Returns:
        The costs in nats, float32 `(batch, time)`; and the state after the last step.
    """
    time = tf.shape(inputs)[1]

    def body(t, state, costs):
        here = slice(t, t + size)
        logits, state = read(inputs[:, here], state)
        cost = tf.nn.sparse_softmax_cross_entropy_with_logits(targets[:, here], logits)
        return t + size, state, costs.write(t // size, tf.transpose(cost))

    parts = -(-time // size)
    costs = tf.TensorArray(tf.float32, parts, infer_shape=False, element_shape=[None, None])
    _, state, costs = tf.while_loop(lambda t, *_: t < time, body, (0, state, costs))
    return tf.transpose(costs.concat()), state
