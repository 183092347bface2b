"""Hashes of the rows that a model was trained on, so that no later part measures on them."""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self

import numpy as np

from rnnapps.data.splits import Splits
from rnnapps.data.stored import StoredTexts, hash_of

FILE = "train_hashes.npz"  # in a run


class Rows(Protocol):
    """A part of a data set, row by row."""

    @property
    def keys(self) -> Sequence[str]:
        """What tells each row from others; an empty one is told from none."""

    @property
    def answers(self) -> Sequence[str] | None:
        """What is to be learned of each row; `None` of the lines of a text."""

    def __len__(self) -> int: ...

    def __add__(self, other: Any) -> Any: ...

    def take(self, indices: Iterable[int]) -> Any:
        """The rows at these positions."""


@dataclasses.dataclass(frozen=True)
class Learned:
    """The hashes of rows that were learned from, each once and in order.

    Args:
        own: Of the run itself.
        before: Of what was learned before: by the runs that it started from, and without labels.
    """

    own: np.ndarray = dataclasses.field(default_factory=lambda: hashes([]))
    before: np.ndarray = dataclasses.field(default_factory=lambda: hashes([]))

    @property
    def all(self) -> np.ndarray:
        """Both."""
        return np.union1d(self.own, self.before)

    @classmethod
    def read(cls, run_dir: pathlib.Path) -> Self:
        """Reads a run's; earlier versions keep none."""
        if not (run_dir / FILE).exists():
            return cls()
        with np.load(run_dir / FILE) as arrays:
            return cls(arrays["own"], arrays["before"])

    def write(self, run_dir: pathlib.Path) -> None:
        """Writes them."""
        np.savez(run_dir / FILE, own=self.own, before=self.before)


def hashes(keys: Iterable[str | bytes] | np.ndarray) -> np.ndarray:
    """Eight bytes of each key that is not empty, each once and in order: uint64 `(keys,)`."""
    found = np.sort(_hashed(keys))
    return found[np.diff(found, prepend=np.uint64(0)) > 0]


def among(keys: Iterable[str | bytes] | np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Which keys have one of these hashes: bool `(keys,)`."""
    return np.isin(_hashed(keys), seen)


def _hashed(keys: Iterable[str | bytes] | np.ndarray) -> np.ndarray:
    """The hash of each key, 0 of an empty one: uint64 `(keys,)`; an array holds hashes already."""
    if isinstance(keys, np.ndarray):
        return keys
    if isinstance(keys, StoredTexts):
        return keys.hashes
    return np.fromiter(map(hash_of, keys), np.uint64)


def to_training(splits: Splits[Rows], seen: np.ndarray, whose: str) -> Splits[Rows]:
    """Moves rows that were learned from before out of the parts that choose and measure.

    Args:
        splits: The parts.
        seen: Hashes of what was learned from.
        whose: Which run has learned from it.

    Returns:
        The parts, with these rows among the training part, and a note of each part that lost some.
    """
    for name in ("validation", "test"):
        part = getattr(splits, name)
        if part is None or not (old := among(part.keys, seen)).any():
            continue
        train = splits.train
        if train is not None:
            train = train + part.take(np.flatnonzero(old))
        note = (
            f"{old.sum():,} rows of the {name} part are moved to the training part, as {whose} was "
            "trained on them"
        )
        rest = part.take(np.flatnonzero(~old))
        splits = dataclasses.replace(
            splits, train=train, notes=(*splits.notes, note), **{name: rest}
        )
    return splits


def without(splits: Splits[Rows], other: Splits[Rows]) -> Splits[Rows]:
    """Leaves out the rows that another data set has.

    Of its validation and test part the keys alone count, or those would be learned from.

    Args:
        splits: The parts.
        other: Those of the other data set.

    Returns:
        The parts without them, and a note of how many they were.
    """
    parts = [part for part in (other.validation, other.test) if part is not None]
    held, out, train = hashes(key for part in parts for key in part.keys), 0, other.train
    known = None if train is None or train.answers is None else _whole(train)
    for name in ("train", "validation", "test"):
        part = getattr(splits, name)
        if part is None:
            continue
        twice = among(part.keys, held)
        if known is not None:
            twice |= np.isin(_whole(part), known)
        elif part == getattr(other, name):  # the same text, of which a line may stand in another
            twice[:] = True
        if twice.any():
            out += int(twice.sum())
            rest = part.take(np.flatnonzero(~twice))
            splits = dataclasses.replace(splits, **{name: rest})
    if not out:
        return splits
    note = f"{out:,} new rows are in the run's data already, and are left out"
    return dataclasses.replace(splits, notes=(*splits.notes, note))


def _whole(part: Rows) -> np.ndarray:
    """The hash of each row with its answer: uint64 `(rows,)`."""
    return _hashed(part.keys) * np.uint64(31) + _hashed(part.answers or ())


def joined(first: Splits[Rows], second: Splits[Rows]) -> Splits[Rows]:
    """Two data sets as one: each part is that of the first, then that of the second."""

    def both(one: Any, other: Any) -> Any:
        return other if one is None else one if other is None else one + other

    return Splits(
        both(first.train, second.train),
        both(first.validation, second.validation),
        both(first.test, second.test),
        (*first.said, *second.said),
        (*first.notes, *second.notes),
    )
