"""What a person asks for, as the tensors that the graph takes."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rnnapps.apps.chargen.data import to_bytes
from rnnapps.decoding import Options
from rnnapps.errors import ConfigError, DataError, flag
from rnnapps.text import UNKNOWN, Tokenizer


def make_prompts(tokenizer: Tokenizer, inputs: Sequence[str]) -> tf.Tensor:
    """Prompts `(batch,)` as bytes; warns of tokens that the network does not know.

    Args:
        tokenizer: The tokenizer.
        inputs: The prompts.

    Returns:
        The string tensor.

    Raises:
        DataError: If it is one text instead of a list.
    """
    if isinstance(inputs, str | bytes):
        raise DataError("Expected a list of prompts. Received: one text.")
    prompts = [one if isinstance(one, bytes) else to_bytes(one) for one in inputs]
    prompts = tf.constant(prompts, tf.string, [len(prompts)])
    ids, tokens = tokenizer.ids(prompts), tokenizer.tokens(prompts)
    strange = tf.boolean_mask(tokens.flat_values, ids.flat_values == UNKNOWN).numpy()
    unknown = [repr(one.decode("utf-8", "replace")) for one in dict.fromkeys(strange)]
    if unknown:
        shown = ", ".join(unknown[:10]) + (", ..." if len(unknown) > 10 else "")
        warnings.warn(f"never seen in training, and read as unknown: {shown}", stacklevel=3)
    return prompts


def make_stops(tokenizer: Tokenizer, stop: Sequence[str]) -> tf.Tensor:
    """Ids `(stops, n)` of the texts behind which to stop, filled up on the left with -1.

    Args:
        tokenizer: The tokenizer.
        stop: The texts.

    Returns:
        The int32 ids.

    Raises:
        ConfigError: If one of them is empty.
    """
    if isinstance(stop, str) or "" in stop:
        raise ConfigError(f"Expected --stop to be texts, none empty. Received: {stop!r}.")
    rows = tokenizer.encode([to_bytes(one) for one in stop]).to_list()
    longest = max(map(len, rows), default=0)
    padded = [[-1] * (longest - len(row)) + row for row in rows]
    return tf.constant(padded, tf.int32, [len(rows), longest])


def make_options(
    count: int,
    length: Any = 400,
    temperature: Any = 0.8,
    top_k: Any = 0,
    top_p: Any = 1.0,
    repetition_penalty: Any = 1.0,
    seed: Any = 0,
) -> Options:
    """Options for so many rows, of numbers for all of them or one for each.

    Args:
        count: Number of rows.
        length: See `decoding.Options`, and so for the next ones.
        temperature: As above.
        top_k: As above.
        top_p: As above.
        repetition_penalty: As above.
        seed: A single number is the first row's, and the next rows' count on from it.

    Returns:
        The options.

    Raises:
        ConfigError: If a number is out of its range.
    """
    most = 2**31 - 1
    rows = {
        "length": (length, 0, most, np.int32),
        "temperature": (temperature, 1e-6, 1e30, np.float32),
        "top_k": (top_k, 0, most, np.int32),
        "top_p": (top_p, 1e-6, 1, np.float32),
        "repetition_penalty": (repetition_penalty, 1e-6, 1e6, np.float32),
        "seed": (seed + np.arange(count) if np.ndim(seed) == 0 else seed, 0, most, np.int32),
    }
    checked = {}
    for name, (values, low, high, kind) in rows.items():
        values = np.asarray(values)
        if values.ndim and values.shape != (count,):
            raise ConfigError(f"Expected one {flag(name)} or {count}. Received: {values.shape}.")
        wrong = values[~((values >= low) & (values <= high))]
        if wrong.size:
            expected = {1e-6: "over 0", 0: "at least 0"}[low] + (" and at most 1" * (high == 1))
            raise ConfigError(
                f"Expected {flag(name)} to be a number {expected}. Received: {wrong.flat[0]}."
            )
        checked[name] = tf.constant(np.broadcast_to(values, count).astype(kind))
    return Options(**checked)
