"""Ensembles: networks trained one after another, each with a seed of its own."""

import pathlib
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from rnnapps.config import TrainingConfig

C = TypeVar("C", bound=TrainingConfig)


def members(
    config: C, count: int, directory: pathlib.Path | None
) -> Iterator[tuple[int, C, pathlib.Path | None]]:
    """What each of several networks of one application is trained with.

    Args:
        config: The configuration.
        count: How many networks there are.
        directory: Where the first one's state is kept, if anywhere.

    Yields:
        Its number, its configuration with a seed of its own, which no network has of another
        configuration's seed, and where its state is kept.
    """
    yield 0, config, directory
    for number in range(1, count):
        drawn = np.random.SeedSequence((config.seed, number)).generate_state(1)[0]
        own = config.model_copy(update={"seed": int(drawn >> 1)})  # which is under 2**31
        folder = directory and directory.with_name(f"{directory.name}-{number + 1}")
        yield number, own, folder
