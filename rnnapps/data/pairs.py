"""Pairs of texts, of which one is to become the other, from a user's own files."""

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from rnnapps.data.tables import read_text
from rnnapps.errors import DataError


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Texts and what each of them is to become.

    Args:
        sources: The texts.
        targets: As many texts.
    """

    sources: list[str]
    targets: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, indices: Iterable[int]) -> "Pairs":
        """The pairs at these positions, in their order."""
        indices = list(indices)
        return Pairs([self.sources[i] for i in indices], [self.targets[i] for i in indices])


def read_pairs(source: pathlib.Path | str, target: pathlib.Path | str | None = None) -> Pairs:
    """Reads pairs, one a line.

    Args:
        source: The file of the sources, also gzipped; or, without a `target`, a file of both, with
            a tab between them.
        target: The file of the targets, as many lines, also gzipped.

    Returns:
        The pairs.

    Raises:
        DataError: If a file is missing, empty or cannot be decoded, the files differ in their
            number of lines, or a line has not two columns.
    """
    lines = _lines(source)
    if target is None:
        rows = [line.split("\t") for line in lines]
        for number, row in enumerate(rows, 1):
            if len(row) != 2:
                raise DataError(
                    f"{source}, line {number}: expected a text, a tab, and its translation (or "
                    f"name a second file with --target-data). Received: {len(row)} columns."
                )
        return Pairs([row[0] for row in rows], [row[1] for row in rows])
    targets = _lines(target)
    if len(lines) != len(targets):
        raise DataError(
            f"Expected a line of {target} for each line of {source}. Received: {len(targets):,} "
            f"lines for {len(lines):,}."
        )
    return Pairs(lines, targets)


def _lines(path: pathlib.Path | str) -> list[str]:
    lines = read_text(path).removesuffix("\n").split("\n")
    if lines == [""]:
        raise DataError(f"{path} is empty.")
    return [line.removesuffix("\r") for line in lines]


def clean_pairs(
    sources: tf.RaggedTensor, targets: tf.RaggedTensor, max_length: int, max_ratio: float
) -> tuple[np.ndarray, dict[str, int]]:
    """Finds the pairs to learn from.

    Args:
        sources: Ids, ragged `(pairs, time)`.
        targets: Ids, ragged `(pairs, time)`.
        max_length: Tokens of a side, at most.
        max_ratio: How often the longer side may be as long as the shorter one.

    Returns:
        Which pairs to keep `(kept,)`, and how many were left out by what is wrong with them.
    """
    lengths = np.stack([sources.row_lengths().numpy(), targets.row_lengths().numpy()])
    shorter, longer = lengths.min(0), lengths.max(0)
    empty = shorter == 0
    long = (longer > max_length) & ~empty
    uneven = (longer > max_ratio * shorter) & ~empty & ~long
    found = {"pairs": len(shorter), "empty": empty, "long": long, "uneven": uneven}
    return np.flatnonzero(~(empty | long | uneven)), {k: int(np.sum(v)) for k, v in found.items()}
