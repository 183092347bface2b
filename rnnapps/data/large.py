"""Tables that do not fit into memory, or are many: read in chunks into stored columns."""

import glob
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from rnnapps.config import TableOptions
from rnnapps.data.cache import cached
from rnnapps.data.labelled import LabelledRows
from rnnapps.data.rows import Row, kind_of, open_rows
from rnnapps.data.stored import StoredTexts, TextWriter
from rnnapps.data.tables import require_column
from rnnapps.errors import DataError
from rnnapps.files import checksum, read_json
from rnnapps.progress import so_far, tracked

_LARGE = 1 << 25  # bytes of a file: pandas takes ten times as many
_TABLES = (".csv", ".tsv", ".tab", ".psv", ".jsonl", ".ndjson", ".parquet")


def is_pattern(path: pathlib.Path | str) -> bool:
    """Whether a path is a pattern of names rather than that of a file."""
    return glob.has_magic(str(path)) and not pathlib.Path(path).exists()


def tables_of(path: pathlib.Path) -> list[pathlib.Path]:
    """The tables that a path, a pattern of paths, or a folder names, by their names' order.

    Args:
        path: The path.

    Returns:
        Them, or the path itself where it is none; none where it is a folder with folders of texts.

    Raises:
        DataError: If no file matches a pattern.
    """
    if path.is_dir():
        if any(path.glob("*/*.txt")) or any(path.glob("*/*/*.txt")):
            return []
        return sorted(p for p in path.iterdir() if p.is_file() and kind_of(p) in _TABLES)
    if not is_pattern(path):
        return [path]
    found = map(pathlib.Path, glob.glob(str(path), recursive=True))
    files = sorted(one for one in found if one.is_file())
    if not files:
        raise DataError(f"Expected files that match {path}. Received: none.")
    return files


def is_large(tables: Sequence[pathlib.Path]) -> bool:
    """Whether tables are to be read a chunk at a time."""
    return len(tables) > 1 or (tables[0].is_file() and tables[0].stat().st_size > _LARGE)


def are_streamed(tables: Sequence[pathlib.Path]) -> bool:
    """Whether all tables can be read a chunk at a time, by their names."""
    return all(kind_of(one) in _TABLES for one in tables)


def read_stored(
    path: pathlib.Path,
    tables: Sequence[pathlib.Path],
    text_column: str,
    label_column: str,
    options: TableOptions,
) -> tuple[StoredTexts, list[str], tuple[str, ...]]:
    """Reads labelled texts a chunk at a time; texts are stored, labels are in memory.

    Args:
        path: What names the tables.
        tables: The tables.
        text_column: Column of the text.
        label_column: Column of the label.
        options: How they are written.

    Returns:
        The texts, their labels, and what was read.

    Raises:
        DataError: As `read_examples`.
    """
    wanted = (text_column, label_column)

    def check(names: Iterable[str], table: pathlib.Path) -> None:
        for option, column in zip(("text_column", "label_column"), wanted, strict=True):
            require_column(names, str(table), option, column)

    def make(folder: pathlib.Path) -> None:
        writer = TextWriter(folder)
        notes: list[str] = []
        rows = LabelledRows(str(path), text_column, label_column, options.strict)
        for chunk in chunks_of(tables, options, wanted, notes, check):
            columns = ([row.get(name) for row in chunk] for name in wanted)
            writer.add(rows.take(*columns))
        writer.close()
        if not rows.rows:
            raise DataError(f"{path} holds no rows.")
        files = [f"{len(tables):,} files"] if len(tables) > 1 else []
        np.save(folder / "labels.npy", np.array(rows.codes, np.int32))
        found = {"classes": [*rows.classes], "said": rows.said([*files, *dict.fromkeys(notes)])}
        (folder / "labels.json").write_text(json.dumps(found), "utf-8")

    sums = [checksum(one) for one in tracked(tables, "files")]
    how = (text_column, label_column, options.separator, options.encoding, options.strict)
    folder = cached(make, "examples", path, *tables, *sums, *how)
    found = read_json(folder / "labels.json")
    labels = [found["classes"][code] for code in np.load(folder / "labels.npy").tolist()]
    return StoredTexts(folder), labels, tuple(found["said"])


def chunks_of(
    tables: Sequence[pathlib.Path],
    options: TableOptions,
    wanted: Sequence[str],
    notes: list[str],
    check: Callable[[Iterable[str], pathlib.Path], None],
) -> Iterator[list[Row]]:
    """The rows of all tables, some at a time.

    Args:
        tables: The tables.
        options: How they are written.
        wanted: Names of columns that are looked for, which decide between two readings.
        notes: To which is added how they are read.
        check: Refuses the names of a table's columns.

    Yields:
        Rows.
    """
    sizes = [one.stat().st_size for one in tables]
    for number, table in enumerate(tables):
        before = sum(sizes[:number])
        names: dict[str, None] = {}
        with open_rows(table, options, wanted) as rows:
            notes += rows.notes
            for chunk, share in rows.chunks:
                names |= dict.fromkeys(rows.names)
                if rows.format == "jsonl":  # in which each row has names of its own
                    names |= dict.fromkeys(name for row in chunk for name in row)
                else:
                    check(names, table)
                yield chunk
                so_far(before + int(share * sizes[number]), sum(sizes), "bytes")
        if names:
            check(names, table)
        else:
            notes.append(f"{table.name} holds no rows")
