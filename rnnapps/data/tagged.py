"""Sentences with a tag for each token, from a user's own files."""

import array
import collections
import dataclasses
import io
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.config import TableOptions
from rnnapps.data.cache import cached
from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.data.labelled import listed, text_of
from rnnapps.data.large import is_large
from rnnapps.data.opening import open_text, sample_of
from rnnapps.data.rows import kind_of
from rnnapps.data.spans_in_text import from_spans
from rnnapps.data.stored import StoredRows, joined, take, write_columns
from rnnapps.data.tables import Table, json_object, read_table
from rnnapps.data.tagged_lines import (
    Sentence,
    TagColumns,
    counted,
    from_columns,
    from_objects,
    holds_spans,
    line_of,
    objects_in,
    objects_of,
    values_of,
)
from rnnapps.errors import DataError
from rnnapps.files import checksum, read_json, remove_tree, write
from rnnapps.progress import tracked
from rnnapps.spans import Scheme, scheme_of, spans_of

_LINES = (".jsonl", ".ndjson", ".json")
_WHOLE = (b"PK\x03\x04", b"PAR1", b"%PDF")
_ALIKE = Scheme("IOB2", "IOB2")  # in which tags are compared


@dataclasses.dataclass(frozen=True)
class Tagged:
    """Sentences, of which each token has a tag.

    Args:
        tokens: The tokens of each sentence, in memory or stored.
        tags: As many tags of each.
        said: What was read, a sentence a line.
        notes: What was mended in it.
        scheme: How the tags write spans.
    """

    tokens: Sequence[Sequence[str]]
    tags: Sequence[Sequence[str]]
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scheme: Scheme = dataclasses.field(default_factory=Scheme)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def keys(self) -> Sequence[str]:
        """What tells each sentence from others: its tokens."""
        return _as_texts(self.tokens)

    @property
    def answers(self) -> Sequence[str]:
        """What is to be learned of each sentence: its tags, whatever the scheme they came in."""
        return _as_texts(self.written_as(_ALIKE).tags)

    def __add__(self, other: "Tagged") -> "Tagged":
        tokens = joined(self.tokens, other.tokens)
        tags = joined(self.tags, other.written_as(self.scheme).tags)
        return Tagged(tokens, tags, self.said, self.notes, self.scheme)

    def take(self, indices: Iterable[int]) -> "Tagged":
        """The sentences at these positions, in their order."""
        indices = list(indices)
        return Tagged(take(self.tokens, indices), take(self.tags, indices), scheme=self.scheme)

    def written_as(self, scheme: Scheme) -> "Tagged":
        """The same spans as another scheme writes them; as it is, where one writes no spans."""
        if not scheme.written or self.scheme.written in ("", scheme.written):
            return self
        tags = [scheme.mended(one) for one in self.tags]
        return dataclasses.replace(self, tags=tags, scheme=scheme)


def _as_texts(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    return rows.texts if isinstance(rows, StoredRows) else ["\t".join(row) for row in rows]


def read_tagged(
    path: pathlib.Path | str,
    columns: TagColumns | None = None,
    options: TableOptions | None = None,
) -> Tagged:
    """Reads tagged sentences.

    Args:
        path: A file of columns as CoNLL's tasks have it, under any ending: a token a line, blank
            lines between sentences, `-DOCSTART-` and comments in CoNLL-U skipped; objects a line
            (`.jsonl`) with `tokens` and `tags`, or with `text` and `spans` of `start`, `end` and
            `label` in characters; or, where a column of sentences is named, a table that
            `read_table` reads with a token a row. Also gzipped. Large files of columns, and of
            objects with tokens, are read a sentence at a time into files.
        columns: Where the tokens and tags are; by default a file's first and last column, and
            of CoNLL-U's `form` and `upos`.
        options: How the file is written.

    Returns:
        The sentences, with the tags of spans in a scheme that was recognized.

    Raises:
        DataError: If the file is missing, empty or cannot be decoded, a row lacks a column, or the
            tags are of two schemes; if the options are strict, also where something would be
            mended.
    """
    path = pathlib.Path(path)
    columns, options, where = columns or TagColumns(), options or TableOptions(), str(path)
    if is_large([path]) and _are_lines(path, columns):
        found = _stored(path, columns, options)
    else:
        content, kind = read_contents(path)
        found = _read(content, kind, where, columns, options)
    if options.strict and found.notes:
        raise DataError(f"{where}: {found.notes[0]} (refused by --strict).")
    return found


def _read(
    content: bytes, kind: str, where: str, columns: TagColumns, options: TableOptions
) -> Tagged:
    """Reads what a file holds."""
    if columns.sentence or kind in (".xlsx", ".parquet"):
        wanted = [name for name in dataclasses.astuple(columns) if name]
        return from_long_table(read_table(where, options, wanted), columns)
    text, _ = decode(content, where, options.encoding)
    if not text.strip():
        raise DataError(f"{where} is empty.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    said: list[str] = []
    if kind in _LINES or text.lstrip().startswith("{"):
        name, rows = objects_in(text, where)
        if not rows or not holds_spans(rows[0][1], columns):
            return _made(from_objects(rows, name, where, columns, said), name, said)
        values = values_of(rows, name, where, columns, ("text", "spans"))
        numbers, texts, spans = zip(*values, strict=True)
        tokens, tags, notes = from_spans(texts, spans, [*map(name, numbers)])
        said = [counted(where, len(tokens), sum(map(len, tokens)))]
        return _made(zip(numbers, tokens, tags, strict=True), name, said, notes)
    lines = text.split("\n")
    sentences = from_columns(tracked(lines, "lines"), lines, where, columns, options, said)
    return _made(sentences, line_of(where), said)


def _are_lines(path: pathlib.Path, columns: TagColumns) -> bool:
    """Whether a file holds a token a line, or an object with tokens a line."""
    sample = sample_of(path)
    if columns.sentence or kind_of(path) in (".xlsx", ".json") or sample.startswith(_WHOLE):
        return False
    first = next((line for line in sample.splitlines() if line.strip()), b"")
    if kind_of(path) not in _LINES and not first.lstrip().startswith(b"{"):
        return True
    if not (first.startswith(b"{") and first.rstrip().endswith(b"}")):
        return False
    row = json_object(first.decode("utf-8", "replace"), f"{path}, line 1")
    return not holds_spans(row, columns)


def _stored(path: pathlib.Path, columns: TagColumns, options: TableOptions) -> Tagged:
    """Sentences of lines, which are read one after the other."""
    where = str(path)

    def make(folder: pathlib.Path) -> None:
        said: list[str] = []
        with open_text(path, options.encoding, newline=None) as text:
            head = [*io.StringIO(text.head, newline=None)]
            if kind_of(path) in _LINES or text.head.lstrip().startswith("{"):
                rows = objects_of(text.file, where)
                sentences = from_objects(rows, line_of(where), where, columns, said)
            else:
                sentences = from_columns(text.file, head, where, columns, options, said)
            share = text.share, path.stat().st_size
            found = _made(sentences, line_of(where), said, folder=folder, share=share)
        remove_tree(folder / "tags")  # as they were before they were mended
        scheme = dataclasses.astuple(found.scheme)
        known = {"said": found.said, "notes": found.notes, "scheme": scheme}
        write(folder / "tagged.json", json.dumps(known))

    how = (*dataclasses.astuple(columns), options.separator, options.encoding)
    folder = cached(make, "tagged", path, checksum(path), *how)
    found = read_json(folder / "tagged.json")
    said, notes = map(tuple, (found["said"], found["notes"]))
    tokens, tags = (StoredRows(folder / name) for name in ("tokens", "mended"))
    return Tagged(tokens, tags, said, notes, Scheme(*found["scheme"]))


def make_tagged(
    tokens: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    said: Sequence[str] = (),
    notes: Sequence[str] = (),
    where: Sequence[str] | None = None,
) -> Tagged:
    """Sentences whose tags are checked, and mended as their scheme wants it.

    Args:
        tokens: The tokens of each sentence.
        tags: The tags of each.
        said: What was read.
        notes: What was mended.
        where: What errors call each sentence.

    Returns:
        The sentences that have a token.

    Raises:
        DataError: If a sentence has more tokens than tags, or the tags are of two schemes.
    """
    name = where.__getitem__ if where else lambda i: f"sentence {i + 1}"
    rows = (
        (i, [*words], [*labels]) for i, (words, labels) in enumerate(zip(tokens, tags, strict=True))
    )
    return _made(rows, name, said, notes)


def _made(
    sentences: Iterable[Sentence],
    name: Callable[[int], str],
    said: Sequence[str],
    notes: Sequence[str] = (),
    folder: pathlib.Path | None = None,
    share: tuple = (),
) -> Tagged:
    """As `make_tagged`; `name` says what errors call a sentence of a number. Stored in a folder."""
    numbers, notes, empty = array.array("q"), list(notes), 0

    def checked() -> Iterator[tuple[list[str], list[str]]]:
        nonlocal empty
        for number, words, labels in sentences:
            if len(words) != len(labels):
                raise DataError(
                    f"{name(number)}: expected a tag for each token. Received: {len(words)} "
                    f"tokens, {len(labels)} tags."
                )
            if folder and any("\t" in word for word in (*words, *labels)):
                raise DataError(f"{name(number)}: expected tokens without tabs, in a large file.")
            if words:
                numbers.append(number)
                yield words, labels
            else:
                empty += 1

    tokens, tags = _kept(checked(), folder, ("tokens", "tags"), *share)
    if not len(tokens):
        raise DataError("Expected sentences with tokens. Received: none.")
    if empty:
        notes.append(f"{empty:,} empty sentences are left out")
    where = _Names(name, numbers)
    scheme = scheme_of(tags, where)
    rows = ((new if (new := scheme.mended(one)) != one else one,) for one in tags)
    (mended,) = _kept(rows, folder, ("mended",))
    changed = [i for i, (a, b) in enumerate(zip(tags, mended, strict=True)) if a != b]
    if changed and scheme.name not in ("IOB1", "IO"):
        first = changed[0]
        place = next(j for j, tag in enumerate(tags[first]) if tag != mended[first][j])
        notes.append(
            f"in {len(changed):,} sentences a span breaks the rules of {scheme.name}, and is "
            f"repaired (the first: {where[first]}, {tokens[first][place]!r} "
            f"{tags[first][place]} is read as {mended[first][place]})"
        )
    said = (*said, _classes(mended, scheme))
    return Tagged(tokens, mended, said, tuple(notes), scheme)


def _kept(
    rows: Iterable[tuple[list[str], ...]],
    folder: pathlib.Path | None,
    names: Sequence[str],
    *share: Any,
) -> list[Sequence[Sequence[str]]]:
    """Columns of lists, in memory or in files."""
    if folder is None:
        return [*map(list, zip(*rows, strict=True))] or [[] for _ in names]
    write_columns(folder, names, (map("\t".join, row) for row in rows), *share)
    return [StoredRows(folder / name) for name in names]


class _Names(Sequence[str]):
    """What errors call sentences, by their numbers."""

    def __init__(self, name: Callable[[int], str], numbers: Sequence[int]):
        self.name, self.numbers = name, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, i):
        return self.name(self.numbers[i])


def from_long_table(table: Table, columns: TagColumns) -> Tagged:
    """Takes sentences from a table with a token a row.

    Args:
        table: The table.
        columns: Which of its columns are what; a sentence's name may stand in its first row alone.

    Returns:
        The sentences, in the order of their first rows.

    Raises:
        DataError: If a column is missing.
    """
    frame = table.frame
    named = [str(name) for name in frame.columns]
    if frame.empty or len(named) < 3:
        raise DataError(
            f"{table.where}: expected rows with a sentence, a token and a tag. Received: "
            f"{len(frame):,} rows of {len(named)} columns."
        )
    sentence = columns.sentence
    if sentence is None:
        raise DataError(
            f"Expected --sentence-column with {table.where}, the column that says which sentence a "
            f"token is of. Its columns are {', '.join(named)}."
        )
    table.require("sentence_column", sentence)
    rest = [name for name in named if name != sentence]
    token, tag = columns.token or rest[0], columns.tag or rest[-1]
    table.require("token_column", token)
    table.require("tag_column", tag)
    groups = frame[sentence].replace("", None).ffill()
    missing = frame[tag].isna() | frame[token].isna()
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise DataError(
            f"{table.where}, row {row}: expected a token and a tag. Received: "
            f"{text_of(frame[token].iloc[row - 1])!r} and {text_of(frame[tag].iloc[row - 1])!r}."
        )
    numbers = pd.factorize(groups)[0]
    if len(numbers) and numbers[0] < 0:
        raise DataError(f"{table.where}, row 1: expected a sentence in column {sentence!r}.")
    found: list[tuple[list[str], list[str]]] = [([], []) for _ in range(numbers.max() + 1)]
    pairs = zip(numbers, frame[token], frame[tag], strict=True)
    for number, word, label in tracked(list(pairs), "rows"):
        found[number][0].append(text_of(word))
        found[number][1].append(text_of(label))
    said = [
        "; ".join([f"{table.where}: {len(found):,} sentences", *table.notes]),
        f"token from column {token!r}, tag from column {tag!r}, sentence from {sentence!r}",
    ]
    return make_tagged([one for one, _ in found], [one for _, one in found], said)


def _classes(tags: Sequence[Sequence[str]], scheme: Scheme) -> str:
    """What there is of each kind of span, or of each tag."""
    if not scheme.name:
        return f"tags: {listed(collections.Counter(tag for one in tags for tag in one))}"
    counts = collections.Counter(span.kind or "span" for one in tags for span in spans_of(one))
    learned = "" if scheme.written == scheme.name else f", learned as {scheme.written}"
    return f"spans written as {scheme.name}{learned}: {listed(counts)}"
