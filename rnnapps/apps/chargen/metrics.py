"""How well a language model predicts a text, by the field's measures."""

import math
from typing import Any

import numpy as np

from rnnapps import metrics
from rnnapps.text import UNKNOWN


def measures(nats: np.ndarray, windowed: np.ndarray, ids: np.ndarray, text: str) -> dict[str, Any]:
    """Measures what the tokens of a text cost.

    Args:
        nats: What each token costs `(tokens,)`, the state being carried through the whole text.
        windowed: The same of windows, each without what stands before it.
        ids: The tokens' ids `(tokens,)`.
        text: The text.

    Returns:
        The metrics of `rnnapps.metrics.language_model`; `nats_per_character_windowed`; `unknown`,
        the share of tokens that are not in the vocabulary; `characters`; and `curve`, the bits per
        character along the text.
    """
    found = metrics.language_model(nats, text)
    if len(windowed):
        share = len(ids) / len(text)  # tokens of a character
        found["nats_per_character_windowed"] = float(windowed.mean() * share)
    found["unknown"] = float(np.mean(ids == UNKNOWN))
    found["characters"] = len(text)
    found["curve"] = {"rnnapps": metrics.bits_along(nats, text)}
    return found


def of_bits(total: float, text: str) -> dict[str, float]:
    """What a text costs a character, where the whole of it costs so many bits."""
    each = total / len(text)
    return {"nats_per_character": each * math.log(2), "bits_per_character": each}
