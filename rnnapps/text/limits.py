"""How much text a request may have: tokenizing is one operation, which cannot be interrupted."""

import tensorflow as tf

from rnnapps.assertions import require

MOST_BYTES = 1_000_000  # of a text: about a second for the slowest tokenizer
MOST_BYTES_TOGETHER = 16_000_000  # of all texts, each filled up to the longest


def limited(texts: tf.Tensor) -> tf.Tensor:
    """Texts as they are, unless they are too long for a server to read.

    Args:
        texts: Strings `(batch,)`.

    Returns:
        The same strings; a run of the graph ends with a sentence where they are too long.
    """
    sizes = tf.strings.length(texts)  # (batch,), in bytes
    together = tf.shape(sizes, tf.int64)[0] * tf.cast(
        tf.reduce_max(tf.pad(sizes, [[0, 1]])), tf.int64
    )
    one = f"Expected every text to have at most {MOST_BYTES:,} bytes."
    all_of_them = (
        f"Expected the texts, each filled up to the longest, to have at most "
        f"{MOST_BYTES_TOGETHER:,} bytes together."
    )
    checks = [
        require(sizes <= MOST_BYTES, one, sizes),
        require(together <= MOST_BYTES_TOGETHER, all_of_them, together),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(texts)
