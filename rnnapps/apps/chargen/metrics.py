"""The metrics of a language model."""

import math
from typing import Any

import numpy as np

from rnnapps import metrics
from rnnapps.apps.chargen.answers import Graph, token_nats
from rnnapps.errors import ConfigError
from rnnapps.text import UNKNOWN


def measures(
    graph: Graph, alone: Graph | None, ids: np.ndarray, text: str, context: int
) -> dict[str, Any]:
    """Computes the metrics of a text, with the state carried through the whole text.

    Args:
        graph: The compiled functions.
        alone: Those of the network alone, if n-grams are mixed in.
        ids: The token ids `(tokens,)`.
        text: The text.
        context: Also evaluate independent windows with this many tokens of context.

    Returns:
        The metrics of `rnnapps.metrics.language_model`; `nats_per_character_windowed`, of windows;
        `unknown`, the fraction of tokens outside the vocabulary; `characters`; `curve`, the bits
        per character along the text; and `baselines`, the metrics of the network alone.

    Raises:
        ConfigError: If `context` is less than 1.
    """
    if context < 1:
        raise ConfigError(f"Expected --context to be at least 1. Received: {context}.")
    nats, windowed = token_nats(graph, ids), token_nats(graph, ids, min(context, len(ids) - 1))
    found = metrics.language_model(nats, text)
    if len(windowed):
        share = len(ids) / len(text)  # tokens per character
        found["nats_per_character_windowed"] = float(windowed.mean() * share)
    found["unknown"] = float(np.mean(ids == UNKNOWN))
    found["characters"] = len(text)
    found["curve"] = {"rnnapps": metrics.bits_along(nats, text)}
    found["baselines"] = {}
    if alone:
        nats = token_nats(alone, ids)
        found["baselines"]["network alone"] = metrics.language_model(nats, text)
    return found


def of_bits(total: float, text: str) -> dict[str, float]:
    """The metrics of a text, given its total number of bits."""
    each = total / len(text)
    return {"nats_per_character": each * math.log(2), "bits_per_character": each}
