"""Sampling and beam search, inside the graph, over any step function."""

from rnnapps.decoding.beam_search import NEVER, Hypotheses, beam_search
from rnnapps.decoding.options import MOST_TOKENS, checked, make_options
from rnnapps.decoding.sampling import (
    BLOCK,
    SamplingOptions,
    SamplingState,
    no_stop,
    prefill,
    sample,
    sample_block,
    sample_token,
    start_sampling,
    suppressing,
    uniform,
)
from rnnapps.decoding.scoring import token_costs

__all__ = [
    "BLOCK",
    "MOST_TOKENS",
    "NEVER",
    "Hypotheses",
    "SamplingOptions",
    "SamplingState",
    "beam_search",
    "checked",
    "make_options",
    "no_stop",
    "prefill",
    "sample",
    "sample_block",
    "sample_token",
    "start_sampling",
    "suppressing",
    "token_costs",
    "uniform",
]
