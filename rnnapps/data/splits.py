"""Splits that are made once, keep the classes' shares, and never leak."""

from collections.abc import Sequence

import numpy as np


def stratified_split(
    texts: Sequence[str], labels: Sequence[str], fractions: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Divides examples into parts that hold each class in the same share.

    Copies of one text always land in the same part, so that no part has seen another's texts.

    Args:
        texts: The texts.
        labels: As many labels.
        fractions: The share of each part; they sum to 1.
        seed: Seed of the division.

    Returns:
        For each part the sorted indices of its examples.
    """
    _, first, group = np.unique(np.asarray(texts), return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))  # of the distinct texts
    label_of_group = np.asarray(labels)[first]
    part_of_group = np.empty(len(first), int)
    for label in np.unique(label_of_group):
        members = order[label_of_group[order] == label]
        ends = np.round(np.cumsum(fractions) * len(members)).astype(int)
        part_of_group[members] = np.searchsorted(ends, np.arange(len(members)), side="right")
    part = part_of_group[group]
    return [np.flatnonzero(part == i) for i in range(len(fractions))]
