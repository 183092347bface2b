"""Sampling and beam search, inside the graph, over any step function."""

from rnnapps.decoding.beam_search import NEVER, Hypotheses, beam_search
from rnnapps.decoding.sampling import (
    BLOCK,
    Draft,
    Options,
    begin,
    choose,
    read,
    sample,
    sample_block,
    uniform,
)
from rnnapps.decoding.scoring import token_costs

__all__ = [
    "BLOCK",
    "NEVER",
    "Draft",
    "Hypotheses",
    "Options",
    "beam_search",
    "begin",
    "choose",
    "read",
    "sample",
    "sample_block",
    "token_costs",
    "uniform",
]
