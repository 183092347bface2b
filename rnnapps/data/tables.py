"""Labelled texts from a user's own table or folder."""

import dataclasses
import gzip
import io
import json
import pathlib
import re
import warnings
import zlib
from collections.abc import Iterable
from typing import Any

import pandas as pd

from rnnapps.errors import DataError, flag, nearest

_TABLES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts and the label of each.

    Args:
        texts: The texts.
        labels: As many labels, as strings.
    """

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices) -> "Examples":
        """The examples at these positions, in their order."""
        return Examples([self.texts[i] for i in indices], [self.labels[i] for i in indices])


def read_examples(
    path: pathlib.Path | str, text_column: str = "text", label_column: str = "label"
) -> dict[str, Examples]:
    """Reads labelled texts.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file, also gzipped (`.gz`), with a header; or
            a folder with a folder of text files per class; or such folders under `train/` and
            `test/` (and `validation/`).
        text_column: Column of the text, in a file.
        label_column: Column of the label (strings or integers), in a file.

    Returns:
        The splits that the data itself makes (`train`, `validation`, `test`), or all under `all`.

    Raises:
        DataError: If something is missing, empty, cannot be decoded, or has no label.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise DataError(f"No such file or folder: {path}.")
    if not path.is_dir():
        return {"all": from_frame(read_frame(path), text_column, label_column, str(path))}
    splits = {
        name: _from_folder(path / name)
        for name in ("train", "validation", "test")
        if (path / name).is_dir()
    }
    return splits if "train" in splits else {"all": _from_folder(path)}


def from_frame(
    frame: pd.DataFrame, text_column: str, label_column: str, where: str = "the table"
) -> Examples:
    """Takes labelled texts from two columns of a table.

    Labels lose the spaces around them, and 1.0, which is what many programs make of an integer,
    becomes "1". A missing text is an empty one.

    Args:
        frame: The table.
        text_column: Column of the text.
        label_column: Column of the label.
        where: What errors call the table.

    Returns:
        The examples.

    Raises:
        DataError: If there are no rows, or a column or a label is missing.
    """
    if frame.empty:
        raise DataError(f"{where} holds no rows.")
    for option, column in (("text_column", text_column), ("label_column", label_column)):
        if column not in frame.columns:
            names = [str(name) for name in frame.columns]
            raise DataError(
                f"{where} has no column {column!r} ({flag(option)}); its columns are "
                f"{', '.join(names)}.{nearest(column, names)}"
            )
    labels = [_label(value) for value in frame[label_column]]
    missing = [row for row, label in enumerate(labels, 1) if label is None]
    if missing:
        raise DataError(
            f"{where} has no label in row {missing[0]} of column {label_column!r} "
            f"({len(missing)} of {len(labels)} rows have none)."
        )
    return Examples([text_of(value) for value in frame[text_column]], labels)


def _label(value) -> str | None:
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
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if pd.isna(value) else str(value)


def read_frame(path: pathlib.Path | str) -> pd.DataFrame:
    """Reads a table, whose values stay strings except in Parquet and JSON.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file, also gzipped (`.gz`), with a header.

    Returns:
        The table.

    Raises:
        DataError: If the file is missing, empty or cannot be decoded.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise DataError(f"No such file or folder: {path}.")
    kind = pathlib.Path(path.name.removesuffix(".gz")).suffix.lower()
    if kind not in _TABLES:
        raise DataError(
            f"Expected {path} to be a folder, or to end in {', '.join(_TABLES)}, also with .gz."
        )
    content = _bytes(path)
    try:
        if kind == ".parquet":
            return pd.read_parquet(io.BytesIO(content))
        text = io.StringIO(_decode(content, path))
        if kind == ".jsonl":
            return pd.DataFrame(_objects(text, path))
        # Only an empty field is missing: "NA" and "null" are words that a text may hold.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                text,
                sep="\t" if kind == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                index_col=False,  # rows with a field too many are a mistake, not an index
            )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty.") from None
    except (ValueError, OSError, pd.errors.ParserWarning) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path} is not a readable {kind[1:]} file: {said}.") from None


def read_text(path: pathlib.Path | str) -> str:
    """Reads a file of UTF-8, also gzipped (`.gz`).

    Args:
        path: The file.

    Returns:
        What is in it.

    Raises:
        DataError: If the file is missing or cannot be decoded.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DataError(f"No such file: {path}.")
    return _decode(_bytes(path), path)


def _objects(lines: Iterable[str], path: pathlib.Path) -> list[dict]:
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg}).") from None
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: expected a JSON object. Received: {line[:40]!r}."
            )
        if row:
            rows.append(row)
    return rows


def _bytes(path: pathlib.Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read {path}: {error}.") from None


def _decode(content: bytes, path: pathlib.Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        content = error.object  # without a byte order mark, behind which offsets count
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8."
        ) from None


def _from_folder(path: pathlib.Path) -> Examples:
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    texts, labels = [], []
    for folder in classes:
        if folder.name == "unsup":  # aclImdb's unlabelled reviews
            continue
        for file in sorted(folder.glob("*.txt")):
            texts.append(_decode(_bytes(file), file))
            labels.append(folder.name)
    if not texts:
        raise DataError(f"{path} holds no folder per class with .txt files in it.")
    return Examples(texts, labels)
