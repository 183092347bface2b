"""Labelled texts from a user's own table or folder."""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from rnnapps.config import TableOptions
from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.data.tables import Table, read_table
from rnnapps.errors import DataError
from rnnapps.progress import tracked

_SHOWN = 10  # classes that are listed
_NUMBERS = 20  # classes, at most, that are numbers with a fraction


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts and the label of each.

    Args:
        texts: The texts.
        labels: As many labels, as strings.
        said: What was read, a sentence a line.
    """

    texts: list[str]
    labels: list[str]
    said: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def keys(self) -> list[str]:
        """What tells each from others: its text."""
        return self.texts

    def __add__(self, other: "Examples") -> "Examples":
        return Examples(self.texts + other.texts, self.labels + other.labels, self.said)

    def take(self, indices: Iterable[int]) -> "Examples":
        """The examples at these positions, in their order."""
        indices = list(indices)
        return Examples([self.texts[i] for i in indices], [self.labels[i] for i in indices])


def read_examples(
    path: pathlib.Path | str,
    text_column: str = "text",
    label_column: str = "label",
    options: TableOptions | None = None,
) -> dict[str, Examples]:
    """Reads labelled texts.

    Args:
        path: A table that `read_table` reads; or a folder with a folder of text files per class; or
            such folders under `train/` and `test/` (and `validation/`).
        text_column: Column of the text, in a table.
        label_column: Column of the label (strings or integers), in a table.
        options: How the table is written.

    Returns:
        The splits that the data itself makes (`train`, `validation`, `test`), or all under `all`.

    Raises:
        DataError: If something is missing, empty, cannot be decoded, or has no labels.
    """
    path, options = pathlib.Path(path), options or TableOptions()
    if not path.is_dir():
        table = read_table(path, options, (text_column, label_column))
        return {"all": from_table(table, text_column, label_column, options)}
    splits = {
        name: _from_folder(path / name, options)
        for name in ("train", "validation", "test")
        if (path / name).is_dir()
    }
    return splits if "train" in splits else {"all": _from_folder(path, options)}


def from_table(
    table: Table, text_column: str, label_column: str, options: TableOptions | None = None
) -> Examples:
    """Takes labelled texts from two columns of a table.

    Labels lose the spaces around them, and 1.0, which is what many programs make of an integer,
    becomes "1". A missing text is an empty one; a row without a label is left out.

    Args:
        table: The table.
        text_column: Column of the text.
        label_column: Column of the label.
        options: Whether to be strict.

    Returns:
        The examples.

    Raises:
        DataError: If a column is missing, no row has a label, or the labels are no classes; if the
            options are strict, also where a label is missing or two differ in
            case alone.
    """
    frame, where, strict = table.frame, table.where, (options or TableOptions()).strict
    if frame.empty:
        raise DataError(f"{where} holds no rows.")
    table.require("text_column", text_column)
    table.require("label_column", label_column)
    try:
        labels = [label_of(value) for value in tracked(frame[label_column], "labels")]
    except TypeError as error:
        raise DataError(f"Expected labels in column {label_column!r} of {where}. {error}") from None
    missing = [row for row, label in enumerate(labels, 1) if label is None]
    rows = f"{len(missing):,} of {len(labels):,} rows"
    if missing and (strict or len(missing) == len(labels)):
        raise DataError(
            f"{where} has no label in row {missing[0]} of column {label_column!r} ({rows} have "
            "none)."
        )
    try:
        texts = [text_of(value) for value in tracked(frame[text_column], "texts")]
    except TypeError as error:
        raise DataError(f"Expected texts in column {text_column!r} of {where}. {error}") from None
    kept = [(text, label) for text, label in zip(texts, labels, strict=True) if label is not None]
    counts = collections.Counter(label for _, label in kept)
    _check_classes(counts, label_column, where)
    notes = []
    if missing:
        notes.append(f"{rows} have no label and are left out (the first is row {missing[0]})")
    for alike in near_equal(counts):
        shown = " and ".join(f"{name!r} ({counts[name]:,})" for name in alike)
        notes.append(f"{shown} differ in case or spaces alone and are classes of their own")
    if strict and notes:
        raise DataError(f"In column {label_column!r} of {where}, {notes[0]}.")
    empty = sum(not text.strip() for text, _ in kept)
    if empty == len(kept):
        raise DataError(
            f"Column {text_column!r} of {where} holds no text at all; name another --text-column."
        )
    if empty:
        notes.append(f"{empty:,} texts are empty")
    said = (
        "; ".join([f"{where}: {len(frame):,} rows", *table.notes]),
        f"text from column {text_column!r}, label from column {label_column!r}",
        "; ".join([f"classes: {listed(counts)}", *notes]),
    )
    return Examples([text for text, _ in kept], [label for _, label in kept], said)


def near_equal(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ in case or spaces alone."""
    groups = collections.defaultdict(list)
    for name in names:
        groups[" ".join(name.casefold().split())].append(name)
    return [group for group in groups.values() if len(group) > 1]


def listed(counts: collections.Counter) -> str:
    """Names with their counts, the commonest first, in a line."""
    shown = [f"{name} {count:,}" for name, count in counts.most_common(_SHOWN)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def label_of(value: Any) -> str | None:
    """A label as a string; `None` where it is missing."""
    label = text_of(value).strip()
    if label.lower() in ("", "nan"):
        return None
    whole = re.fullmatch(r"(-?\d+)\.0+", label)
    return whole[1] if whole else label


def text_of(value: Any) -> str:
    """Makes a text of what stands in a table.

    Args:
        value: A string, bytes of UTF-8, a number, or what pandas takes for missing.

    Returns:
        The text; an empty one where it is missing.

    Raises:
        TypeError: If the value is a list or the like.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not pd.api.types.is_scalar(value):
        raise TypeError(f"Received: {value!r:.60}.")
    return "" if pd.isna(value) else str(value)


def _check_classes(counts: collections.Counter, column: str, where: str) -> None:
    """Refuses a column of measurements, or of texts."""
    rows, numbers = counts.total(), [name for name in counts if _is_number(name)]
    if len(numbers) == len(counts) > _NUMBERS and (
        any(not name.lstrip("-").isdigit() for name in numbers) or len(counts) > rows / 5
    ):
        raise DataError(
            f"Column {column!r} of {where} holds numbers ({len(counts):,} different ones); "
            "a classifier predicts classes: group them into a few, or name another --label-column."
        )
    if len(counts) > max(_NUMBERS, rows / 2):
        raise DataError(
            f"Column {column!r} of {where} holds {len(counts):,} different labels in {rows:,} "
            "rows, which are no classes; name another --label-column."
        )


def _is_number(name: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d*[.,]?\d+(e[-+]?\d+)?", name, re.IGNORECASE))


def _from_folder(path: pathlib.Path, options: TableOptions) -> Examples:
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [
        file
        for folder in classes
        if folder.name != "unsup"  # aclImdb's unlabelled reviews
        for file in sorted(folder.glob("*.txt"))
    ]
    texts = [
        decode(read_contents(file)[0], str(file), options.encoding)[0]
        for file in tracked(files, "files")
    ]
    labels = [file.parent.name for file in files]
    if not texts:
        raise DataError(f"{path} holds no folder per class with .txt files in it.")
    counts = collections.Counter(labels)
    said = (f"{path}: {len(texts):,} files", f"classes (by folder): {listed(counts)}")
    return Examples(texts, labels, said)
