"""Tagged sentences, line by line: columns of CoNLL's tasks, and JSON objects."""

import dataclasses
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rnnapps.config import TableOptions
from rnnapps.data.tables import json_object
from rnnapps.errors import DataError, flag, nearest

Sentence = tuple[int, list[str], list[str]]  # the number of its line, tokens, and their tags
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


def from_columns(
    lines: Iterable[str],
    head: Sequence[str],
    where: str,
    columns: TagColumns,
    options: TableOptions,
    said: list[str],
) -> Iterator[Sentence]:
    """Reads a token a line.

    Args:
        lines: The lines.
        head: The first of them, which say how they are written.
        where: What errors call the file.
        columns: Where the tokens and tags are.
        options: How the file is written.
        said: To which is added what was read, behind the last line.

    Yields:
        The number of each sentence's first line, its tokens and its tags.

    Raises:
        DataError: If a row lacks a column, or there is none.
    """
    universal = _is_universal(head)
    separator = options.separator or ("\t" if universal or _has_tabs(head) else None)
    tokens: list[str] = []
    tags: list[str] = []
    chosen: tuple[int, int] | None = None
    begun = width = breaks = sentences = total = 0
    for number, line in enumerate(itertools.chain(lines, [""]), 1):
        if not line.strip():
            if tokens:
                yield begun, tokens, tags
                sentences, total, tokens, tags = sentences + 1, total + len(tokens), [], []
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
        begun = begun if tokens else number
        tokens.append(sys.intern(fields[chosen[0]]))
        tags.append(sys.intern(fields[chosen[1]]))
    if chosen is None:
        raise DataError(f"{where} holds no sentences.")
    names = [_CONLLU[i] if universal else f"{i + 1}" for i in chosen]
    said += [
        counted(where, sentences, total) + (f", {breaks:,} {_BREAK} skipped" if breaks else ""),
        f"token from column {names[0]}, tag from column {names[1]}",
    ]


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


def from_objects(
    rows: Iterable[tuple[int, dict[str, Any]]],
    name: Callable[[int], str],
    where: str,
    columns: TagColumns,
    said: list[str],
) -> Iterator[Sentence]:
    """Reads objects with lists of tokens and tags.

    Args:
        rows: The number of each, and it.
        name: What errors call the one of a number.
        where: What errors call the file.
        columns: The keys of tokens and tags.
        said: To which is added what was read, behind the last.

    Yields:
        The number of each sentence, its tokens and its tags.

    Raises:
        DataError: If an object lacks one of them.
    """
    keys = columns.token or "tokens", columns.tag or "tags"
    sentences = total = 0
    for number, words, labels in values_of(rows, name, where, columns, keys):
        if not isinstance(words, list) or not isinstance(labels, list):
            raise DataError(f"{name(number)}: expected lists in {keys[0]!r} and {keys[1]!r}.")
        if None in words or None in labels:
            raise DataError(f"{name(number)}: expected texts in both lists. Received: null.")
        yield number, [sys.intern(str(x)) for x in words], [sys.intern(str(x)) for x in labels]
        sentences, total = sentences + 1, total + len(words)
    said.append(counted(where, sentences, total))


def values_of(
    rows: Iterable[tuple[int, dict[str, Any]]],
    name: Callable[[int], str],
    where: str,
    columns: TagColumns,
    keys: tuple[str, str],
) -> Iterator[tuple[int, Any, Any]]:
    """The number of each object, and its values of two keys, which all have. See `from_objects`."""
    own = columns.token or "tokens", columns.tag or "tags"
    for number, row in rows:
        spans = holds_spans(row, columns)
        if spans == (keys != own) and {*keys} <= row.keys():
            yield number, row[keys[0]], row[keys[1]]
        elif spans or {*own} <= row.keys():
            raise DataError(
                f"{where}: expected tokens in all lines, or text in all. Received: both."
            )
        else:
            raise DataError(
                f"{name(number)}: expected {own[0]!r} and {own[1]!r}, or 'text' and 'spans'. "
                f"Received: {', '.join(row)}."
            )


def holds_spans(row: dict[str, Any], columns: TagColumns) -> bool:
    """Whether an object holds a text and spans, rather than tokens."""
    return "text" in row and "spans" in row and (columns.token or "tokens") not in row


def objects_in(text: str, where: str) -> tuple[Callable[[int], str], list[tuple[int, dict]]]:
    """The objects of an array, or of lines.

    Args:
        text: Its text.
        where: What errors call it.

    Returns:
        What errors call the object of a number; and the number of each, and it.

    Raises:
        DataError: If it is not JSON, or something is no object.
    """
    if not text.lstrip().startswith("["):
        return line_of(where), [*objects_of(text.split("\n"), where)]
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}).") from None
    for i, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(f"{where}, item {i}: expected an object. Received: {row!r:.60}.")
    return lambda i: f"{where}, item {i}", [*enumerate(rows, 1)]


def objects_of(lines: Iterable[str], where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each line that is not blank, and its object."""
    name = line_of(where)
    return ((i, json_object(line, name(i))) for i, line in enumerate(lines, 1) if line.strip())


def line_of(where: str) -> Callable[[int], str]:
    """What errors call the line of a number."""
    return lambda number: f"{where}, line {number}"


def counted(where: str, sentences: int, tokens: int) -> str:
    """How many there are."""
    return f"{where}: {sentences:,} sentences, {tokens:,} tokens"
