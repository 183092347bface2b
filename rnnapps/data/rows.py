"""Tables of any size as a stream: rows are read a chunk at a time.

Values stay as they stand in the file, and so do the order of rows and columns.
"""

import codecs
import contextlib
import dataclasses
import gzip
import io
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from rnnapps.config import TableOptions
from rnnapps.data.encodings import decode
from rnnapps.data.separators import check_header, find_separator, name_of, rows_of
from rnnapps.data.tables import json_object, read_table
from rnnapps.errors import DataError

_SEPARATED = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_SAMPLE = 1 << 16  # bytes from which separator and encoding are found
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
    """

    names: list[str]
    chunks: Iterator[tuple[list[Row], float]]
    format: str
    separator: str = ","
    schema: Any = None


def is_table(path: pathlib.Path) -> bool:
    """Whether a file is a table by its name; others hold a text a line."""
    return kind_of(path) not in (".txt", "")


def kind_of(path: pathlib.Path) -> str:
    """What a file is by its name: the last suffix in small letters, that of gzip left out."""
    suffixes: Sequence[str] = [one.lower() for one in path.suffixes if one.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""


@contextlib.contextmanager
def open_rows(path: pathlib.Path, options: TableOptions | None = None) -> Iterator[Rows]:
    """Opens a table, or a file with a text a line.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file, also gzipped; others are read whole.
        options: How it is written.

    Yields:
        The rows.

    Raises:
        DataError: If it is missing or is not what its name says.
    """
    if not path.is_file():
        raise DataError(f"No such file: {path}.")
    kind, options = kind_of(path), options or TableOptions()
    if kind == ".parquet":
        yield _parquet(path)
        return
    streamed = kind in (*_SEPARATED, ".jsonl", ".ndjson", ".txt", "")
    if not streamed or path.suffix == ".zip":
        frame = read_table(path, options).frame
        rows = frame.astype(object).where(frame.notna(), "").to_dict("records")
        yield Rows(list(frame.columns), _chunks(iter(rows), lambda: 0.0), "csv")
        return
    with path.open("rb") as raw, _whole(path):
        source = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        sample = source.read(_SAMPLE)
        sample = sample[: sample.rfind(b"\n") + 1] or sample
        wide = b"\0" in sample  # UTF-16, of which the sample may end within a character
        decoding = "replace" if wide else "strict"
        head, encoding = decode(sample, str(path), options.encoding, decoding)
        source.seek(0)
        errors = "replace" if kind in (".txt", "") else "strict"
        encoding = "utf-8-sig" if encoding == "utf-8" else encoding
        text = io.TextIOWrapper(source, encoding, errors, newline="")
        if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text.read(1)
        size = max(1, path.stat().st_size)
        yield _stream(text, kind, head, options, str(path), lambda: min(1.0, raw.tell() / size))


@contextlib.contextmanager
def _whole(path: pathlib.Path) -> Iterator[None]:
    """Says in one sentence that a file is not what it begins as."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged, it cannot be unpacked: {error}.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {error.encoding}: name its encoding with --encoding ({error.reason})."
        ) from None


def _stream(
    text: IO[str], kind: str, head: str, options: TableOptions, where: str, share: Callable
) -> Rows:
    if kind in (".txt", ""):
        lines = ({"text": line.rstrip("\r\n")} for line in text)
        return Rows(["text"], _chunks(lines, share), "txt")
    if kind in (".jsonl", ".ndjson"):
        first = next((line for line in head.split("\n") if line.strip()), "{}")
        rows = (
            json_object(line, f"{where}, line {i}")
            for i, line in enumerate(text, 1)
            if line.strip()
        )
        return Rows(list(json_object(first, f"{where}, line 1")), _chunks(rows, share), "jsonl")
    separator = options.separator or find_separator(head, _SEPARATED[kind], (), where)
    found = rows_of(text, separator, head, where)
    names = [name_of(field) for field in next(found, [])]
    check_header(names, where)
    form = "tsv" if separator == "\t" else "csv"
    return Rows(names, _chunks(_named(found, names), share), form, separator)


def _named(rows: Iterator[list[str]], names: list[str]) -> Iterator[Row]:
    for row in rows:
        yield dict(zip(names, row + [""] * (len(names) - len(row)), strict=True))


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
    chunk, size = [], _FIRST
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk, share()
            chunk, size = [], _CHUNK
    if chunk:
        yield chunk, 1.0
