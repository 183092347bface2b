"""Pairs of texts for translation, from a user's own files."""

import array
import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps.config import TableOptions
from rnnapps.data.cache import cached
from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.data.labelled import text_of
from rnnapps.data.long_text import are_long
from rnnapps.data.opening import OpenText, open_text, sample_of
from rnnapps.data.rows import kind_of
from rnnapps.data.stored import StoredTexts, joined, take, write_columns
from rnnapps.data.tables import Table, read_table
from rnnapps.data.tmx import read_memory
from rnnapps.errors import DataError
from rnnapps.files import checksum, read_json, write
from rnnapps.progress import tracked

_TABLES = (".csv", ".psv", ".xlsx", ".json", ".jsonl", ".ndjson", ".parquet")
_SIDES = ("source src input text original", "target tgt output translation reference")
_LANGUAGES = """
    ar bg bn ca cs da de el en es et eu fa fi fr ga gl he hi hr hu id is it ja ko lt lv mk ms nl no
    pl pt ro ru sk sl sq sr sv ta te th tr uk ur vi zh arabic chinese czech dutch english finnish
    french german greek hebrew hindi hungarian italian japanese korean polish portuguese romanian
    russian spanish swedish turkish ukrainian vietnamese
"""
_LOOKED = 1000  # lines that say which columns the texts are
_ATTRIBUTION = r"CC[- ]BY|Attribution:|tatoeba\.org"


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Texts and what each of them is to become.

    Args:
        sources: The texts, in memory or stored.
        targets: As many texts.
        said: What was read, a sentence a line.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    said: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def keys(self) -> Sequence[str]:
        """What tells each from others: its text."""
        return self.sources

    @property
    def answers(self) -> Sequence[str]:
        """What is to be learned of each: its translation."""
        return self.targets

    def __add__(self, other: "Pairs") -> "Pairs":
        sources = joined(self.sources, other.sources)
        return Pairs(sources, joined(self.targets, other.targets), self.said)

    def take(self, indices: Iterable[int]) -> "Pairs":
        """The pairs at these positions, in their order."""
        rows = array.array("q", indices)  # a list of so many numbers is five times as large
        return Pairs(take(self.sources, rows), take(self.targets, rows))


def read_pairs(
    source: pathlib.Path | str,
    target: pathlib.Path | str | None = None,
    columns: tuple[str | None, str | None] = (None, None),
    languages: tuple[str, str] = ("", ""),
    options: TableOptions | None = None,
) -> Pairs:
    """Reads pairs.

    Without a `target`, both are in one file: a table that `read_table` reads, lines with a tab
    between the two, or a translation memory (`.tmx`). A header is noticed, as are numbers and
    attributions beside the texts, such as Tatoeba and Anki write.

    Args:
        source: The file of the sources, or of both.
        target: The file of the targets, with a line for each of the sources'.
        columns: Columns of the source and of the target, by name or by number from 1.
        languages: The languages of the two, which a table's columns or a memory's texts may name.
        options: How the files are written.

    Returns:
        The pairs.

    Raises:
        DataError: If a file is missing, empty or cannot be decoded, the files differ in their
            number of lines, or it is open which texts are meant.
    """
    options = options or TableOptions()
    files = [pathlib.Path(one) for one in (source, target) if one is not None]
    if _of_lines(files, options) and are_long(files):
        return _stored(files, columns, languages, options)
    if target is None:
        return _from_one(source, columns, languages, options)
    sources, targets = _lines(source, options), _lines(target, options)
    if len(sources) != len(targets):
        raise DataError(
            f"Expected a line of {target} for each line of {source}. Received: {len(targets):,} "
            f"lines for {len(sources):,}."
        )
    return Pairs(sources, targets, (f"{source} and {target}: {len(sources):,} pairs",))


def _from_one(
    path: pathlib.Path | str,
    columns: tuple[str | None, str | None],
    languages: tuple[str, str],
    options: TableOptions,
) -> Pairs:
    content, kind = read_contents(path)
    if kind == ".tmx":
        sources, targets, skipped = read_memory(content, str(path), *languages)
        said = [f"{path}: {len(sources):,} pairs of {languages[0]} and {languages[1]}"]
        said += [f"{skipped:,} units lack one of the two and are left out"] * bool(skipped)
        return Pairs(sources, targets, tuple(said))
    if kind in _TABLES or options.separator:
        table = read_table(path, options, [c for c in columns if c], header=False)
    else:
        table = _tabbed(_lines(path, options), str(path))
    frame, notes = table.frame, list(table.notes)
    inside = [name for name in frame.columns if frame[name].map(type).eq(dict).all()]
    if len(inside) == 1:  # as in {"translation": {"de": "...", "en": "..."}}
        frame = pd.DataFrame(frame[inside[0]].tolist())
        notes.append(f"texts from inside column {inside[0]!r}")
    frame, more = _headed(frame, columns, languages)
    notes += more
    try:
        chosen, names, left = _sides(frame, columns, languages, table.where)
        sources, targets = (
            [text_of(value) for value in tracked(frame.iloc[:, place], "texts")] for place in chosen
        )
    except TypeError as error:
        raise DataError(
            f"Expected texts in the columns of {path}, each side in its own. {error}"
        ) from None
    said = ["; ".join([f"{path}: {len(sources):,} pairs", *notes])]
    if kind in _TABLES or left:
        beside = f" ({', '.join(left)} left out)" if left else ""
        said.append(f"source from column {names[0]!r}, target from column {names[1]!r}{beside}")
    return Pairs(sources, targets, tuple(said))


def _headed(
    frame: pd.DataFrame, columns: Sequence[str | None], languages: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """A frame without names whose first line may be a header; and whether it is one."""
    if list(frame.columns) != [str(i + 1) for i in range(frame.shape[1])]:
        return frame, []
    first = [text_of(value).strip() for value in frame.iloc[0]]
    if not _is_header(first, columns, languages):
        return frame, []
    note = f"the first line is a header ({', '.join(first)})"
    return frame.iloc[1:].set_axis(first, axis=1), [note]


def _sides(
    frame: pd.DataFrame, columns: Sequence[str | None], languages: Sequence[str], where: str
) -> tuple[list[int], list, list[str]]:
    """The places of source and target, their names, and those of the other columns."""
    chosen = _chosen(frame, columns, languages, where)
    names = [frame.columns[place] for place in chosen]
    return chosen, names, [str(name) for name in frame.columns if name not in names]


def _of_lines(files: Sequence[pathlib.Path], options: TableOptions) -> bool:
    """Whether files, which are there, hold a text or a pair a line."""
    if not all(one.is_file() for one in files):
        return False
    whole = (*_TABLES, ".tmx", ".zip")
    return len(files) > 1 or not (kind_of(files[0]) in whole or options.separator)


def _stored(
    files: Sequence[pathlib.Path],
    columns: tuple[str | None, str | None],
    languages: tuple[str, str],
    options: TableOptions,
) -> Pairs:
    """Pairs of files of lines, which are read a line at a time."""
    names = " and ".join(map(str, files))

    def make(folder: pathlib.Path) -> None:
        with contextlib.ExitStack() as stack:
            ends = ["\n" if b"\n" in sample_of(one) else "\r" for one in files]
            opened = [
                open_text(one, options.encoding, newline=end)
                for one, end in zip(files, ends, strict=True)
            ]
            texts = [stack.enter_context(one) for one in opened]
            said: list[str] = []
            if len(files) > 1:
                pairs = _side_by_side(texts, files)
            else:
                said, pairs = _in_columns(texts[0], files[0], columns, languages)
            total = sum(one.stat().st_size for one in files)
            write_columns(folder, ("sources", "targets"), pairs, texts[0].share, total)
        write(folder / "said.json", json.dumps({"said": said}))

    sums = [checksum(one) for one in tracked(files, "files")]
    folder = cached(make, "pairs", *files, *sums, columns, languages, options.encoding)
    sources, targets = (StoredTexts(folder / side) for side in ("sources", "targets"))
    first, *rest = read_json(folder / "said.json")["said"] or [""]
    return Pairs(sources, targets, (f"{names}: {len(sources):,} pairs{first}", *rest))


def _side_by_side(
    texts: Sequence[OpenText], files: Sequence[pathlib.Path]
) -> Iterator[tuple[str, str]]:
    """The lines of two files, which have as many."""
    source, target = files
    for number, pair in enumerate(itertools.zip_longest(*(text.file for text in texts)), 1):
        if None in pair:
            longer, shorter = (source, target) if pair[1] is None else (target, source)
            raise DataError(
                f"Expected a line of {target} for each line of {source}. Received: {shorter}, "
                f"which ends before line {number:,} of {longer}."
            )
        yield _line(pair[0]), _line(pair[1])


def _line(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _in_columns(
    text: OpenText,
    path: pathlib.Path,
    columns: tuple[str | None, str | None],
    languages: tuple[str, str],
) -> tuple[list[str], Iterator[tuple[str, str]]]:
    """What the first lines of a file with tabs say of its columns; and its pairs."""
    table = _tabbed(_lines_of(text.head)[:_LOOKED], str(path))
    frame, notes = _headed(table.frame, columns, languages)
    chosen, names, left = _sides(frame, columns, languages, str(path))
    width, skipped = len(frame.columns), len(table.frame) - len(frame)
    beside = f" ({', '.join(left)} left out)" if left else ""
    said = ["".join(f"; {note}" for note in notes)]
    if left:
        said.append(f"source from column {names[0]!r}, target from column {names[1]!r}{beside}")

    def pairs() -> Iterator[tuple[str, str]]:
        empty, left_out = 0, skipped
        for number, line in enumerate(text.file, 1):
            if not line.strip():
                empty += 1
                continue
            row = _line(line).split("\t")
            if len(row) != width:
                raise DataError(_not_a_pair(path, number, len(row)))
            if left_out:  # the header
                left_out -= 1
            else:
                yield row[chosen[0]], row[chosen[1]]
        if empty:
            said[0] = f"; empty lines left out: {empty:,}{said[0]}"

    return said, pairs()


def _not_a_pair(path: pathlib.Path | str, number: int, columns: int) -> str:
    return (
        f"{path}, line {number}: expected a text, a tab, and its translation (or name a second "
        f"file with --target-data). Received: {columns} columns."
    )


def _tabbed(lines: Sequence[str], path: str) -> Table:
    """Lines with tabs, in which quotation marks are a text's own."""
    rows = [line.split("\t") for line in lines if line.strip()]
    width = max(2, len(rows[0]))
    numbers = (number for number, line in enumerate(lines, 1) if line.strip())
    for number, row in zip(numbers, tracked(rows, "lines"), strict=True):
        if len(row) != width:
            raise DataError(_not_a_pair(path, number, len(row)))
    names = [str(i + 1) for i in range(width)]
    empty = len(lines) - len(rows)
    notes = (f"empty lines left out: {empty:,}",) if empty else ()
    return Table(pd.DataFrame(rows, columns=names), str(path), notes)


def _lines(path: pathlib.Path | str, options: TableOptions) -> list[str]:
    text, _ = decode(read_contents(path)[0], str(path), options.encoding)
    if not text.strip():
        raise DataError(f"{path} is empty.")
    return _lines_of(text)


def _lines_of(text: str) -> list[str]:
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as a Mac's programs ended lines long ago
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _is_header(first: Sequence[str], columns: Sequence, languages: Sequence[str]) -> bool:
    """Whether a line names the columns: as the user does, or by sides or languages."""
    if any(name in first for name in columns if name):
        return True
    words = {name.lower() for name in first}
    known = {*" ".join(_SIDES).split(), *_LANGUAGES.split(), *map(str.lower, languages)}
    return len(words & known) > 1


def _chosen(
    frame: pd.DataFrame, columns: Sequence[str | None], languages: Sequence[str], where: str
) -> list[int]:
    """The places of source and target: as the user says, as their names say, or the only two."""
    names = [str(name) for name in frame.columns]
    table = Table(frame, where)
    places: list[int | None] = []
    for side, (column, language, words) in enumerate(zip(columns, languages, _SIDES, strict=True)):
        if column is not None:
            numbers = [str(i + 1) for i in range(len(names))]
            if column not in names and column in numbers:
                places.append(int(column) - 1)
                continue
            table.require(("source_column", "target_column")[side], column)
        wanted = [column] if column else [language.lower(), *words.split()]
        found = [i for word in wanted for i, name in enumerate(names)
                 if name == word or name.lower() == word]  # fmt: skip
        places.append(found[0] if found else None)
    source, target = places
    if source is not None and target is not None and source != target:
        return [source, target]
    texts = [i for i in range(len(names)) if len(names) == 2 or _holds_texts(frame.iloc[:, i])]
    named = source if columns[0] else target if columns[1] else None
    if named is not None:  # one side is named: the other is what is left
        rest = [i for i in texts if i != named]
        texts = ([named, *rest] if columns[0] else [*rest, named]) if len(rest) == 1 else []
    if len(texts) == 2:
        return texts
    raise DataError(
        f"{where}: expected a text and its translation. Received: {len(names)} columns "
        f"({', '.join(names)}); name the two with --source-column and --target-column."
    )


def _holds_texts(column: pd.Series) -> bool:
    """Whether a column holds texts rather than numbers or attributions."""
    text = column.dropna().map(text_of).astype("object").head(1000)
    marks = text.str.fullmatch(r"\s*[\d.,-]*\s*") | text.str.contains(_ATTRIBUTION, regex=True)
    return len(text) > 0 and marks.mean() < 0.9


def clean_pairs(
    sources: tf.RaggedTensor, targets: tf.RaggedTensor, max_length: int, max_ratio: float
) -> tuple[np.ndarray, dict[str, int]]:
    """Finds the pairs to learn from.

    Args:
        sources: Ids, ragged `(pairs, time)`.
        targets: Ids, ragged `(pairs, time)`.
        max_length: Tokens of a side, at most.
        max_ratio: How often the longer side may be as long as the shorter one.

    Returns:
        Which pairs to keep `(kept,)`, and how many were left out by what is wrong with them.
    """
    lengths = np.stack([sources.row_lengths().numpy(), targets.row_lengths().numpy()])
    shorter, longer = lengths.min(0), lengths.max(0)
    empty = shorter == 0
    long = (longer > max_length) & ~empty
    uneven = (longer > max_ratio * shorter) & ~empty & ~long
    found = {"pairs": len(shorter), "empty": empty, "long": long, "uneven": uneven}
    return np.flatnonzero(~(empty | long | uneven)), {k: int(np.sum(v)) for k, v in found.items()}
