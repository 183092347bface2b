"""Labelled texts from a user's own table or folder."""

import array
import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

from rnnapps.config import TableOptions
from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.data.labelled import LabelledRows, listed
from rnnapps.data.large import is_large, read_stored, tables_of
from rnnapps.data.stored import joined, take
from rnnapps.data.tables import Table, read_table
from rnnapps.errors import DataError
from rnnapps.progress import tracked


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts and the label of each.

    Args:
        texts: The texts, in memory or stored.
        labels: As many labels, as strings.
        said: What was read, a sentence a line.
    """

    texts: Sequence[str]
    labels: list[str]
    said: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def keys(self) -> Sequence[str]:
        """What tells each from others: its text."""
        return self.texts

    @property
    def answers(self) -> Sequence[str]:
        """What is to be learned of each: its label."""
        return self.labels

    def __add__(self, other: "Examples") -> "Examples":
        return Examples(joined(self.texts, other.texts), self.labels + other.labels, self.said)

    def take(self, indices: Iterable[int]) -> "Examples":
        """The examples at these positions, in their order."""
        rows = array.array("q", indices)  # a list of so many numbers is five times as large
        return Examples(take(self.texts, rows), [self.labels[i] for i in rows])


def read_examples(
    path: pathlib.Path | str,
    text_column: str = "text",
    label_column: str = "label",
    options: TableOptions | None = None,
) -> dict[str, Examples]:
    """Reads labelled texts.

    Args:
        path: A table that `read_table` reads; a pattern such as `part-*.parquet`, or a folder, of
            many tables; or a folder with a folder of text files per class; or such folders under
            `train/` and `test/` (and `validation/`).
        text_column: Column of the text, in a table.
        label_column: Column of the label (strings or integers), in a table.
        options: How the table is written.

    Returns:
        The splits that the data itself makes (`train`, `validation`, `test`), or all under `all`.

    Raises:
        DataError: If something is missing, empty, cannot be decoded, or has no labels.
    """
    path, options = pathlib.Path(path), options or TableOptions()
    if tables := tables_of(path):
        if is_large(tables):
            return {"all": Examples(*read_stored(path, tables, text_column, label_column, options))}
        table = read_table(tables[0], options, (text_column, label_column))
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
    frame, where = table.frame, table.where
    if frame.empty:
        raise DataError(f"{where} holds no rows.")
    table.require("text_column", text_column)
    table.require("label_column", label_column)
    strict = (options or TableOptions()).strict
    rows = LabelledRows(where, text_column, label_column, strict)
    texts = rows.take(tracked(frame[text_column], "texts"), frame[label_column])
    said = rows.said(table.notes)
    return Examples(texts, rows.labels, said)


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
