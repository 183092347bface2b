"""What a training is given, and what it returns."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

Callbacks = Sequence[keras.callbacks.Callback]
Start = Callable[..., None]
"""Gives a network its first weights, where they are not random: `start(network, rows, number=0)`,
where `rows` says what the rows of its weights stand for."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training made.

    Args:
        model: From what `predict` takes to what it answers.
        history: The metrics of each epoch; of several networks those of the first.
        metrics: What else is known of it, for `metrics.json`.
        notes: What was found in the data on the way, a sentence each.
        unlabelled: What tells the texts without labels, that it learned from, from others.
    """

    model: keras.Model
    history: list[dict[str, float]]
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    unlabelled: Sequence[str] = ()
