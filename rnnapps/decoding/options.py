"""The options of sampling: from numbers, checked, and checked again inside an exported graph."""

from typing import Any

import numpy as np
import tensorflow as tf

from rnnapps.assertions import require
from rnnapps.config import GENERATION
from rnnapps.decoding.sampling import SamplingOptions
from rnnapps.errors import ConfigError, flag

MOST_TOKENS = 100_000  # that a request to a server may ask for
_LARGEST = 2**31 - 1  # an int32


def make_options(
    count: int,
    length: Any = GENERATION.length,
    temperature: Any = GENERATION.temperature,
    top_k: Any = GENERATION.top_k,
    top_p: Any = GENERATION.top_p,
    repetition_penalty: Any = GENERATION.repetition_penalty,
    seed: Any = GENERATION.seed,
) -> SamplingOptions:
    """Options for so many rows, of numbers for all of them or one for each.

    Args:
        count: Number of rows.
        length: See `SamplingOptions`, and so for the next ones.
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
    rows = {
        "length": (length, 0, _LARGEST, np.int32),
        "temperature": (temperature, 1e-6, 1e30, np.float32),
        "top_k": (top_k, 0, _LARGEST, np.int32),
        "top_p": (top_p, 1e-6, 1, np.float32),
        "repetition_penalty": (repetition_penalty, 1e-6, 1_000_000, np.float32),
        "seed": (seed + np.arange(count) if np.ndim(seed) == 0 else seed, 0, _LARGEST, np.int32),
    }
    checked = {}
    for name, (values, low, high, dtype) in rows.items():
        values = np.asarray(values)
        if values.ndim and values.shape != (count,):
            raise ConfigError(f"Expected one {flag(name)} or {count}. Received: {values.shape}.")
        fine = (values >= low) & (values <= high)
        if whole := dtype is np.int32:
            fine &= values == np.floor(values)
        for wrong in values[~fine]:
            kind = "a whole number" if whole else "a number"
            least = f"at least {low}" if whole or 0 < wrong < low else "over 0"
            most = f" and at most {high:,}" if high == 1 or wrong > high else ""
            raise ConfigError(
                f"Expected {flag(name)} to be {kind} {least}{most}. Received: {wrong}."
            )
        checked[name] = tf.constant(np.broadcast_to(values, count).astype(dtype))
    return SamplingOptions(**checked)


def checked(options: SamplingOptions) -> SamplingOptions:
    """Options as they are, unless one is out of the range that a server takes.

    Args:
        options: The options, as a request brings them.

    Returns:
        The same options; a run of the graph ends with a sentence where one is out of its range.
    """
    length, temperature, top_k, top_p = options[:4]
    expected = [
        (f"length to be at least 0 and at most {MOST_TOKENS:,}", length,
         (length >= 0) & (length <= MOST_TOKENS)),
        ("temperature to be a positive number", temperature,
         tf.math.is_finite(temperature) & (temperature > 0)),
        ("top_k to be at least 0", top_k, top_k >= 0),
        ("top_p to be over 0 and at most 1", top_p, (top_p > 0) & (top_p <= 1)),
    ]  # fmt: skip
    checks = [require(fine, f"Expected every {what}.", value) for what, value, fine in expected]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return SamplingOptions(*(one if one is None else tf.identity(one) for one in options))
