"""Sentences with a tag for each token, from a user's own files."""

import collections
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnapps.config import TableOptions
from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.data.labelled import listed, text_of
from rnnapps.data.spans_in_text import from_spans
from rnnapps.data.tables import Table, json_object, read_table
from rnnapps.errors import DataError, flag, nearest
from rnnapps.progress import tracked
from rnnapps.spans import Scheme, scheme_of, spans_of

_LINES = (".jsonl", ".ndjson", ".json")
_CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_BREAK = "-DOCSTART-"


@dataclasses.dataclass(frozen=True)
class TagColumns:
    """Where tokens and tags are in a file.

    Args:
        token: Column of the token, by name or by number from 1; `None` to find it.
        tag: Column of the tag; `None` to find it.
        sentence: Column of a long table that says which sentence a row is of.
    """

    token: str | None = None
    tag: str | None = None
    sentence: str | None = None


@dataclasses.dataclass(frozen=True)
class Tagged:
    """Sentences, of which each token has a tag.

    Args:
        tokens: The tokens of each sentence.
        tags: As many tags of each.
        said: What was read, a sentence a line.
        notes: What was mended in it.
        scheme: How the tags write spans.
    """

    tokens: list[list[str]]
    tags: list[list[str]]
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scheme: Scheme = dataclasses.field(default_factory=Scheme)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def keys(self) -> list[str]:
        """What tells each sentence from others: its tokens."""
        return ["\t".join(tokens) for tokens in self.tokens]

    def __add__(self, other: "Tagged") -> "Tagged":
        tokens, tags = self.tokens + other.tokens, self.tags + other.written_as(self.scheme).tags
        return Tagged(tokens, tags, self.said, self.notes, self.scheme)

    def take(self, indices: Iterable[int]) -> "Tagged":
        """The sentences at these positions, in their order."""
        indices = list(indices)
        tokens, tags = ([column[i] for i in indices] for column in (self.tokens, self.tags))
        return Tagged(tokens, tags, scheme=self.scheme)

    def written_as(self, scheme: Scheme) -> "Tagged":
        """The same spans as another scheme writes them; as it is, where one writes no spans."""
        if not scheme.written or self.scheme.written in ("", scheme.written):
            return self
        tags = [scheme.mended(one) for one in self.tags]
        return dataclasses.replace(self, tags=tags, scheme=scheme)


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
            `read_table` reads with a token a row. Also gzipped.
        columns: Where the tokens and tags are; by default a file's first and last column, and
            of CoNLL-U's `form` and `upos`.
        options: How the file is written.

    Returns:
        The sentences, with the tags of spans in a scheme that was recognised.

    Raises:
        DataError: If the file is missing, empty or cannot be decoded, a row lacks a column, or the
            tags are of two schemes; if the options are strict, also where something would be
            mended.
    """
    columns, options, where = columns or TagColumns(), options or TableOptions(), str(path)
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
    if kind in _LINES or text.lstrip().startswith("{"):
        return _from_objects(text, where, columns)
    return _from_columns(text.replace("\r\n", "\n").replace("\r", "\n"), where, columns, options)


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
    where = where or [f"sentence {i + 1}" for i in range(len(tokens))]
    for name, words, labels in zip(where, tokens, tags, strict=True):
        if len(words) != len(labels):
            raise DataError(
                f"{name}: expected a tag for each token. Received: {len(words)} tokens, "
                f"{len(labels)} tags."
            )
    full = [i for i, words in enumerate(tokens) if len(words)]
    if not full:
        raise DataError("Expected sentences with tokens. Received: none.")
    said, notes = list(said), list(notes)
    if empty := len(tokens) - len(full):
        notes.append(f"{empty:,} empty sentences are left out")
    kept_tags = [list(tags[i]) for i in full]
    scheme = scheme_of(kept_tags, [where[i] for i in full])
    mended = [scheme.mended(one) for one in kept_tags]
    changed = [i for i, (a, b) in enumerate(zip(kept_tags, mended, strict=True)) if a != b]
    if changed and scheme.name not in ("IOB1", "IO"):
        first = changed[0]
        place = next(j for j, tag in enumerate(kept_tags[first]) if tag != mended[first][j])
        notes.append(
            f"in {len(changed):,} sentences a span is not written as {scheme.name} has it, and is "
            f"mended (the first: {where[full[first]]}, {tokens[full[first]][place]!r} "
            f"{kept_tags[first][place]} is read as {mended[first][place]})"
        )
    said.append(_classes(mended, scheme))
    return Tagged([list(tokens[i]) for i in full], mended, tuple(said), tuple(notes), scheme)


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


def _from_columns(text: str, where: str, columns: TagColumns, options: TableOptions) -> Tagged:
    """A token a line."""
    lines = text.split("\n")
    universal = _is_universal(lines)
    separator = options.separator or ("\t" if universal or _has_tabs(lines) else None)
    tokens: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    places = [f"{where}, line 1"]
    chosen: tuple[int, int] | None = None
    width, breaks = 0, 0
    for number, line in enumerate(tracked(lines, "lines"), 1):
        if not line.strip():
            if tokens[-1]:
                tokens.append([])
                tags.append([])
            continue
        if universal and line.startswith("#"):
            continue
        fields = line.split(separator) if separator else line.split()
        fields = [field.strip() for field in fields]
        if fields[0].startswith(_BREAK):
            breaks += 1
            continue
        if universal and not fields[0].isdigit():
            continue  # a span of surface tokens, or a word that is not in the text
        if chosen is None:
            width = len(fields)
            chosen = _chosen(columns, width, universal, f"{where}, line {number}")
        if len(fields) != width:
            raise DataError(
                f"{where}, line {number}: expected {width} columns, as in the first row. Received: "
                f"{len(fields)} ({line.strip()[:60]!r})."
            )
        if not tokens[-1]:
            places[len(tokens) - 1 :] = [f"{where}, line {number}"]
        tokens[-1].append(fields[chosen[0]])
        tags[-1].append(fields[chosen[1]])
    if not tokens[-1]:
        tokens.pop()
        tags.pop()
    if chosen is None:
        raise DataError(f"{where} holds no sentences.")
    names = [_CONLLU[i] if universal else f"{i + 1}" for i in chosen]
    said = [
        f"{where}: {len(tokens):,} sentences, {sum(map(len, tokens)):,} tokens"
        + (f", {breaks:,} {_BREAK} skipped" if breaks else ""),
        f"token from column {names[0]}, tag from column {names[1]}",
    ]
    return make_tagged(tokens, tags, said, where=places)


def _is_universal(lines: Sequence[str]) -> bool:
    """Whether a file is CoNLL-U: ten columns with tabs between, the first of which counts."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    fields = first.split("\t")
    return len(fields) == len(_CONLLU) and bool(re.fullmatch(r"\d+([-.]\d+)?", fields[0]))


def _has_tabs(lines: Sequence[str]) -> bool:
    """Whether tabs part the columns: then a token may hold spaces."""
    full = [line for line in lines[:1000] if line.strip()]
    return all("\t" in line for line in full if not line.startswith(_BREAK))


def _chosen(columns: TagColumns, width: int, universal: bool, where: str) -> tuple[int, int]:
    """The positions of the token and the tag."""
    if width < 2:
        raise DataError(
            f"{where}: expected a token and its tag, with a space or a tab between (else name the "
            "--separator; of a table with a token a row, the --sentence-column). Received: one "
            "column."
        )
    usual = (1, 3) if universal else (0, width - 1)
    found = []
    for option, default in zip(("token", "tag"), usual, strict=True):
        name, place = getattr(columns, option), default
        if name is not None:
            known = list(_CONLLU) if universal else []
            numbers = [str(i + 1) for i in range(width)]
            if name.lower() in known:
                place = known.index(name.lower())
            elif name in numbers:
                place = numbers.index(name)
            else:
                raise DataError(
                    f"{where}: expected {flag(option)}-column to be a number from 1 to {width}"
                    f"{' or one of ' + ', '.join(known) if known else ''}. Received: {name!r}."
                    f"{nearest(name, known)}"
                )
        found.append(place)
    return found[0], found[1]


def _from_objects(text: str, where: str, columns: TagColumns) -> Tagged:
    """An object a line, or an array of them."""
    token_key, tag_key = columns.token or "tokens", columns.tag or "tags"
    tokens: list[list[str]] = []
    tags: list[list[str]] = []
    notes: list[str] = []
    places, texts, spans = [], [], []
    for place, row in _objects(text, where):
        if "text" in row and "spans" in row and token_key not in row:
            texts.append(row["text"])
            spans.append(row["spans"])
        elif token_key in row and tag_key in row:
            words, labels = row[token_key], row[tag_key]
            if not isinstance(words, list) or not isinstance(labels, list):
                raise DataError(f"{place}: expected lists in {token_key!r} and {tag_key!r}.")
            tokens.append([str(one) for one in words])
            tags.append([str(one) for one in labels])
        else:
            raise DataError(
                f"{place}: expected {token_key!r} and {tag_key!r}, or 'text' and 'spans'. "
                f"Received: {', '.join(row)}."
            )
        places.append(place)
    if texts and tokens:
        raise DataError(f"{where}: expected tokens in all lines, or text in all. Received: both.")
    if texts:
        tokens, tags, notes = from_spans(texts, spans, places)
    said = [f"{where}: {len(tokens):,} sentences, {sum(map(len, tokens)):,} tokens"]
    return make_tagged(tokens, tags, said, notes, places)


def _objects(text: str, where: str) -> list[tuple[str, dict[str, Any]]]:
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}).") from None
        for i, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise DataError(f"{where}, item {i}: expected an object. Received: {row!r:.60}.")
        return [(f"{where}, item {i}", row) for i, row in enumerate(rows, 1)]
    lines = [(f"{where}, line {i}", line) for i, line in enumerate(text.split("\n"), 1)]
    return [(place, json_object(line, place)) for place, line in lines if line.strip()]


def _classes(tags: Sequence[Sequence[str]], scheme: Scheme) -> str:
    """What there is of each kind of span, or of each tag."""
    if not scheme.name:
        return f"tags: {listed(collections.Counter(tag for one in tags for tag in one))}"
    counts = collections.Counter(span.kind or "span" for one in tags for span in spans_of(one))
    learned = "" if scheme.written == scheme.name else f", learned as {scheme.written}"
    return f"spans written as {scheme.name}{learned}: {listed(counts)}"
