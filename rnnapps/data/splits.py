"""Splits that are made once, are stratified, and never leak."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from rnnapps.data.stored import StoredTexts
from rnnapps.errors import DataError

_CHUNK = 4096  # texts whose JSON is made at a time

Part = TypeVar("Part", bound=Sized)


@dataclasses.dataclass(frozen=True)
class Splits(Generic[Part]):
    """The three parts of a data set, and what was read; those that a person gave, as far as given.

    Args:
        train: The part to learn from.
        validation: The part that chooses the best weights.
        test: The part that is measured on, once.
        said: What was read, in a few lines.
        notes: What was mended in it.
    """

    train: Part | None = None
    validation: Part | None = None
    test: Part | None = None
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """How long each part is that there is."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {name: len(part) for name, part in parts.items() if part is not None}


def named_splits(
    parts: Mapping[str, Part], divide: Callable[[Part, Sequence[float]], Sequence[Part]]
) -> Sequence[Part]:
    """The training, validation and test part of what was read; what is not there is set aside.

    Args:
        parts: `"all"`, to be divided; or `"train"`, and what else there is by its name.
        divide: From a part and shares of it to as many parts. Validation and test are a tenth each.
    """
    if "all" in parts:
        return divide(parts["all"], (0.8, 0.1, 0.1))
    train, validation, test = parts["train"], parts.get("validation"), parts.get("test")
    if test is None:
        train, test = divide(train, (0.9, 0.1))
    if validation is None:
        train, validation = divide(train, (0.9, 0.1))
    return train, validation, test


def given_splits(
    read: Callable[[Any], Part],
    divide: Callable[[Part], Sequence[Part]],
    train: Any = None,
    validation: Any = None,
    test: Any = None,
) -> Splits[Part]:
    """The parts of what a person gave.

    Args:
        read: From what a person holds to a part.
        divide: A part in two, to learn from and to choose the best weights by, where no other part
            is there for the latter.
        train: What is to be learned from.
        validation: What chooses the best weights; `None` for a part of `train`.
        test: What is to be measured on: then there is nothing else.

    Returns:
        The parts, and what was read.
    """
    if test is not None:
        return Splits(test=read(test))
    whole = read(train)
    if validation is None:
        learned, chosen = divide(whole)
    else:
        learned, chosen = whole, read(validation)
    return Splits(learned, chosen, said=getattr(whole, "said", ()))


def check_divided(parts: Splits[Any], what: str, where: str) -> None:
    """Refuses parts one of which is empty.

    Args:
        parts: The parts, as `data.learned.Rows`.
        what: Their rows, such as `"sentences"`.
        where: Names the data in the message.

    Raises:
        DataError: If a part is empty.
    """
    train: Any = parts.train  # which is there where data was divided
    if not all(parts.sizes.values()):
        raise DataError(
            f"Expected enough distinct {what} to set some aside. "
            f"Received: {len(set(train.keys))} in the training part{where}."
        )


def fingerprint(noun: str, *parts: tuple[Any, bytes | Iterable[bytes]]) -> str:
    """What tells data from any other: a run is only evaluated beside its own.

    Args:
        noun: What there is so many of, such as `"texts"`.
        *parts: Each part's size, as anything with a length or as a number, and its content,
            whole or in pieces.

    Returns:
        The size and the checksum of each part.
    """
    found = []
    for size, content in parts:
        count = size if isinstance(size, int) else len(size)
        checksum = hashlib.sha256()
        for piece in [content] if isinstance(content, bytes) else content:
            checksum.update(piece)
        found.append(f"{count} {noun}, sha256 {checksum.hexdigest()[:16]}")
    return "; ".join(found)


def json_pieces(*columns: Sequence[str]) -> Iterator[bytes]:
    """The bytes of `json.dumps([*columns])`, a piece at a time."""
    yield b"["
    for number, column in enumerate(columns):
        yield b", [" if number else b"["
        for first in range(0, len(column), _CHUNK):
            piece = json.dumps(list(column[first : first + _CHUNK]))[1:-1]
            yield (", " * (first > 0) + piece).encode()
        yield b"]"
    yield b"]"


def stratified_split(
    texts: Sequence[str], labels: Sequence[str], fractions: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Divides examples into parts that hold each class in the same share.

    The first part has each class, so that training lacks none. Copies of one text always land in
    the same part, so that no part has seen another's texts.

    Args:
        texts: The texts.
        labels: As many labels.
        fractions: The share of each part; they sum to 1.
        seed: Seed of the division.

    Returns:
        For each part the sorted indices of its examples.
    """
    if isinstance(texts, StoredTexts):
        first, group = texts.distinct()
    else:  # as objects: NumPy's own strings all take the room of the longest
        _, first, group = np.unique(
            np.asarray(texts, dtype=object), return_index=True, return_inverse=True
        )
    order = np.random.default_rng(seed).permutation(len(first))  # of the distinct texts
    by_class = np.asarray(labels)[first][order]
    sorting = np.argsort(by_class, kind="stable")
    order, by_class = order[sorting], by_class[sorting]
    parts = np.fromiter(_in_turn(fractions, len(order)), int, len(order))
    _, begins = np.unique(by_class, return_index=True)  # of each class
    if len(parts):
        parts[begins[np.minimum.reduceat(parts, begins) > 0]] = 0
    part_of_group = np.empty(len(first), int)
    part_of_group[order] = parts
    part_of_text = part_of_group[group]
    return [np.flatnonzero(part_of_text == i) for i in range(len(fractions))]


def _in_turn(fractions: Sequence[float], count: int) -> Iterator[int]:
    """The parts of so many texts: each goes to the one that lacks most.

    So any run of texts, and with it each class, is divided in these shares; a class of few members
    does not lose them all to rounding.
    """
    lacking = [0.0] * len(fractions)
    for _ in range(count):
        lacking = [some + share for some, share in zip(lacking, fractions, strict=True)]
        part = lacking.index(max(lacking))
        lacking[part] -= 1
        yield part
