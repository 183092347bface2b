"""Labelled texts, row by row: what is left out, and what is wrong with them."""

import array
import collections
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from rnnapps.errors import DataError

_SHOWN = 10  # classes that are listed
_NUMBERS = 20  # classes, at most, that are numbers with a fraction


class LabelledRows:
    """Rows of which each has a text and a label; those without a label are left out.

    Labels lose the spaces around them, and 1.0, which is what many programs make of an integer,
    becomes "1". A missing text is an empty one.

    Args:
        where: What errors call the rows.
        text_column: Column of the text.
        label_column: Column of the label.
        strict: Whether to refuse what would be left out or could be a mistake.
    """

    def __init__(self, where: str, text_column: str, label_column: str, strict: bool = False):
        self.where, self.strict = where, strict
        self.text_column, self.label_column = text_column, label_column
        self.codes = array.array("i")  # of each row that is kept, its class
        self.classes: dict[str, int] = {}
        self.rows = self.missing = self.first_missing = self.empty = 0

    @property
    def labels(self) -> list[str]:
        """The label of each row that is kept."""
        names = [*self.classes]
        return [names[code] for code in self.codes]

    def take(self, texts: Iterable[Any], labels: Iterable[Any]) -> list[str]:
        """Takes the next rows.

        Args:
            texts: What stands in the column of the text.
            labels: As many values of the column of the label.

        Returns:
            The texts that are kept.

        Raises:
            DataError: If a value is neither.
        """
        try:
            known = [label_of(value) for value in labels]
        except TypeError as error:
            raise DataError(
                f"Expected labels in column {self.label_column!r} of {self.where}. {error}"
            ) from None
        try:
            found = [text_of(value) for value in texts]
        except TypeError as error:
            raise DataError(
                f"Expected texts in column {self.text_column!r} of {self.where}. {error}"
            ) from None
        kept = []
        for row, (text, label) in enumerate(zip(found, known, strict=True), self.rows + 1):
            if label is None:
                self.missing += 1
                self.first_missing = self.first_missing or row
                continue
            self.codes.append(self.classes.setdefault(label, len(self.classes)))
            self.empty += not text.strip()
            kept.append(text)
        self.rows += len(found)
        return kept

    def said(self, notes: Sequence[str] = ()) -> tuple[str, ...]:
        """What was read, once all rows are taken.

        Args:
            notes: How the table was read.

        Raises:
            DataError: If no row has a label, no text holds anything, or the labels are no classes;
                where it is strict, also if a label is missing or two differ in case alone.
        """
        column, where = self.label_column, self.where
        rows = f"{self.missing:,} of {self.rows:,} rows"
        if self.missing and (self.strict or self.missing == self.rows):
            raise DataError(
                f"{where} has no label in row {self.first_missing} of column {column!r} ({rows} "
                "have none)."
            )
        names = [*self.classes]
        counts = collections.Counter(
            {names[code]: count for code, count in collections.Counter(self.codes).items()}
        )
        _check_classes(counts, column, where)
        mended = []
        if self.missing:
            mended.append(
                f"{rows} have no label and are left out (the first is row {self.first_missing})"
            )
        for alike in near_equal(counts):
            shown = " and ".join(f"{name!r} ({counts[name]:,})" for name in alike)
            mended.append(f"{shown} differ only in case or spaces and are separate classes")
        if self.strict and mended:
            raise DataError(f"In column {column!r} of {where}, {mended[0]}.")
        if self.empty == len(self.codes):
            raise DataError(
                f"Column {self.text_column!r} of {where} holds no text at all; name another "
                "--text-column."
            )
        if self.empty:
            mended.append(f"{self.empty:,} texts are empty")
        return (
            "; ".join([f"{where}: {self.rows:,} rows", *notes]),
            f"text from column {self.text_column!r}, label from column {column!r}",
            "; ".join([f"classes: {listed(counts)}", *mended]),
        )


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
