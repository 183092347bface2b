"""The settings of text generation, and their defaults. Imports no TensorFlow."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class GenerationOptions:
    """How a text is written on, token by token."""

    length: int = 400
    """Tokens to write, at most."""
    temperature: float = 0.8
    """Over 1 bolder than the model, under 1 more careful."""
    top_k: int = 0
    """Choose among this many of the likeliest tokens: 1 is greedy, 0 is all."""
    top_p: float = 1.0
    """Choose among the likeliest tokens that together have this probability."""
    repetition_penalty: float = 1.0
    """Over 1, tokens that were written before become less likely."""
    seed: int = 0
    """Seed of the first text; the next ones have the next seeds."""


GENERATION = GenerationOptions()  # the defaults, wherever a text is written
