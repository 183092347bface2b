"""Networks that learn one after the other, each with a seed of its own, to answer together."""

import pathlib
from collections.abc import Iterator
from typing import TypeVar

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
        Its number, its configuration with the next seed, and where its state is kept.
    """
    for number in range(count):
        own = config.model_copy(update={"seed": config.seed + number})
        folder = directory
        if folder and number:
            folder = folder.with_name(f"{folder.name}-{number + 1}")
        yield number, own, folder
