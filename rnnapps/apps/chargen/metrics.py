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
    """Measures what the tokens of a text cost, the state being carried through the whole text.

    Args:
        graph: The compiled functions.
        alone: Those of the network alone, where n-grams are mixed in.
        ids: The tokens' ids `(tokens,)`.
        text: The text.
        context: Also measure windows of so many tokens, each without what stands before it.

    Returns:
        The metrics of `rnnapps.metrics.language_model`; `nats_per_character_windowed`, of windows;
        `unknown`, the share of tokens that are not in the vocabulary; `characters`; `curve`, the
        bits per character along the text; and `baselines`, the metrics of the network alone.

    Raises:
        ConfigError: If there is to be no context.
    """
    if context < 1:
        raise ConfigError(f"Expected --context to be at least 1. Received: {context}.")
    nats, windowed = token_nats(graph, ids), token_nats(graph, ids, min(context, len(ids) - 1))
    found = metrics.language_model(nats, text)
    if len(windowed):
        share = len(ids) / len(text)  # tokens of a character
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
    """What a text costs a character, where the whole of it costs so many bits."""
    each = total / len(text)
    return {"nats_per_character": each * math.log(2), "bits_per_character": each}
