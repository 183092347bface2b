"""Tables of any size as a stream of rows, read in chunks.

Values stay as they stand in the file, and so do the order of rows and columns.
"""

import codecs
import contextlib
import dataclasses
import io
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any

from rnnapps.config import TableOptions
from rnnapps.data.opening import open_text, sample_of
from rnnapps.data.separators import NAMES, check_header, find_separator, name_of, rows_of
from rnnapps.data.tables import json_object, read_table, refuse_twice
from rnnapps.errors import DataError

_SEPARATED = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_FIRST, _CHUNK = 256, 4096  # rows of the first chunk, whose answers come soon, and of the next

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Rows:
    """A table that is read as it is asked for.

    Args:
        names: The columns' names; of a file of JSON objects those of the first row.
        chunks: Lists of rows, each with the share of the file that was read up to them.
        format: What the table is: `"csv"`, `"tsv"`, `"jsonl"`, `"parquet"`, or `"txt"` for a text a
            line.
        separator: What stands between columns, where something does.
        schema: The columns' types, in Parquet.
        notes: How it is read, where that is not as its name says.
    """

    names: list[str]
    chunks: Iterator[tuple[list[Row], float]]
    format: str
    separator: str = ","
    schema: Any = None
    notes: tuple[str, ...] = ()


def is_table(path: pathlib.Path) -> bool:
    """Whether a file is a table by its name; others hold a text a line."""
    return kind_of(path) not in (".txt", "")


def kind_of(path: pathlib.Path) -> str:
    """What a file is by its name: the last suffix in small letters, that of gzip left out."""
    suffixes: Sequence[str] = [one.lower() for one in path.suffixes if one.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""


@contextlib.contextmanager
def open_rows(
    path: pathlib.Path, options: TableOptions | None = None, wanted: Sequence[str] = ()
) -> Iterator[Rows]:
    """Opens a table, or a file with a text a line.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file, also gzipped; others are read whole.
        options: How it is written.
        wanted: Names of columns that are looked for, which decide between two readings.

    Yields:
        The rows.

    Raises:
        DataError: If it is missing or is not what its name says.
    """
    if not path.is_file():
        raise DataError(f"No such file: {path}.")
    kind, options = kind_of(path), options or TableOptions()
    sample = b"" if path.suffix == ".zip" else sample_of(path)
    if kind == ".parquet" or sample.startswith(b"PAR1"):
        yield _parquet(path)
        return
    if not _streams(kind, path, sample):
        table = read_table(path, options, wanted)
        frame = table.frame
        rows = frame.astype(object).where(frame.notna(), "").to_dict("records")
        chunks = _chunks(iter(rows), lambda: 0.0)
        yield Rows(list(frame.columns), chunks, "csv", notes=table.notes)
        return
    errors = "replace" if kind in (".txt", "") else "strict"
    with open_text(path, options.encoding, errors) as text:
        notes = () if text.encoding == "utf-8" else (f"encoding {text.encoding}",)
        rows = _stream(text.file, kind, text.head, options, str(path), text.share, wanted)
        yield dataclasses.replace(rows, notes=notes + rows.notes)


def _streams(kind: str, path: pathlib.Path, sample: bytes) -> bool:
    """Whether a file is what its name says, of which rows can be read one after the other."""
    if kind in (".jsonl", ".ndjson"):
        first = (sample.lstrip(codecs.BOM_UTF8 + b" \t\r\n").splitlines() or [b""])[0].strip()
        return first.startswith(b"{") and first.endswith(b"}")
    others = (b"PK\x03\x04", b"%PDF", b"<!doctype", b"<html")
    web = sample[:200].lstrip().lower()
    known = kind in (*_SEPARATED, ".txt", "") and path.suffix != ".zip"
    return known and (kind in (".txt", "") or not web.startswith((*others, others[0].lower())))


def _stream(
    text: IO[str],
    kind: str,
    head: str,
    options: TableOptions,
    where: str,
    share: Callable,
    wanted: Sequence[str],
) -> Rows:
    if kind in (".txt", ""):
        lines = ({"text": line.rstrip("\r\n")} for line in text)
        return Rows(["text"], _chunks(lines, share), "txt")
    if kind in (".jsonl", ".ndjson"):
        first = next((line for line in io.StringIO(head, newline=None) if line.strip()), "{}")
        rows = (
            json_object(line, f"{where}, line {i}")
            for i, line in enumerate(_texts(text, where), 1)
            if line.strip()
        )
        return Rows(list(json_object(first, f"{where}, line 1")), _chunks(rows, share), "jsonl")
    named = head.partition("\n")[0].strip()
    separator, usual = options.separator, _SEPARATED[kind]
    if named[:4].lower() == "sep=" and len(named) == 5:  # Excel's own line
        text.readline()
        separator, head = separator or named[4], head.partition("\n")[2]
    separator = separator or find_separator(head, usual, wanted, where)
    found = rows_of(_texts(text, where), separator, head, where)
    names = [name_of(field) for field in next(found, [])]
    check_header(names, where)
    refuse_twice([name for name in names if name], where)
    form = "tsv" if separator == "\t" else "csv"
    notes = (f"separator {NAMES.get(separator, separator)}",) if separator != usual else ()
    chunks = _chunks(_named(found, names, where), share)
    return Rows([*dict.fromkeys(names)], chunks, form, separator, notes=notes)


def _texts(lines: Iterable[str], where: str) -> Iterator[str]:
    """The lines, none of which may hold what no text does."""
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise DataError(f"{where}, line {number}, is not a text: it holds the byte 0x00.")
        yield line


def _named(rows: Iterator[list[str]], names: list[str], where: str) -> Iterator[Row]:
    """The rows by their columns; several without a name are left out as one that holds nothing."""
    nameless = [i for i, name in enumerate(names) if not name]
    for row in rows:
        if len(nameless) > 1 and any(row[i] for i in nameless if i < len(row)):
            refuse_twice(names, where)
        yield dict(itertools.zip_longest(names, row, fillvalue=""))


def _parquet(path: pathlib.Path) -> Rows:
    import pyarrow.parquet  # takes 0.2 s, and only Parquet needs it

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{path} is not a readable parquet file: {error}.") from None
    total, done = max(1, file.metadata.num_rows), 0

    def rows() -> Iterator[Row]:
        nonlocal done
        for batch in file.iter_batches(_CHUNK):
            yield from batch.to_pylist()
            done += batch.num_rows

    schema = file.schema_arrow
    return Rows(schema.names, _chunks(rows(), lambda: done / total), "parquet", schema=schema)


def _chunks(rows: Iterator[Row], share: Callable[[], float]) -> Iterator[tuple[list[Row], float]]:
    size = _FIRST
    while chunk := list(itertools.islice(rows, size)):
        yield chunk, share() if len(chunk) == size else 1.0
        size = _CHUNK
