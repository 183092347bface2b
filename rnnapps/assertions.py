"""Checks inside the graph: one sentence each, also when a server runs it."""

import tensorflow as tf


def require(fine: tf.Tensor, expected: str, received: tf.Tensor) -> tf.Operation | None:
    """Ends a graph's run with a sentence where a condition does not hold.

    Args:
        fine: bool `(rows,)`, or `()`.
        expected: The first part of the sentence, such as `"Expected every length to be over 0."`.
        received: Numbers of the same shape; the first that is wrong is quoted.

    Returns:
        The assertion, on which what follows should depend (`tf.control_dependencies`).
    """
    wrong = tf.boolean_mask(tf.reshape(received, [-1]), ~tf.reshape(fine, [-1]))[:1]
    quoted = tf.strings.as_string(wrong, shortest=wrong.dtype.is_floating)
    sentence = tf.strings.join([expected, " Received: ", tf.strings.reduce_join(quoted), "."])
    return tf.debugging.Assert(tf.reduce_all(fine), [sentence])
