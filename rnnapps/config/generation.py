"""The settings of text generation, and their defaults. Imports no TensorFlow."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class GenerationOptions:
    """How a text is written on, token by token."""

    length: int = 400
    """Maximum number of tokens to generate."""
    temperature: float = 0.8
    """Sampling temperature: below 1 more conservative, above 1 more random."""
    top_k: int = 0
    """Sample from this many most likely tokens only; 1 is greedy, 0 is all."""
    top_p: float = 1.0
    """Nucleus sampling: sample from the most likely tokens that together have this probability; 1
    is all."""
    repetition_penalty: float = 1.0
    """Above 1, tokens that were generated before become less likely; 1 for none."""
    seed: int = 0
    """Random seed of the first text; each further text uses the next one."""


GENERATION = GenerationOptions()  # the defaults, wherever a text is written
