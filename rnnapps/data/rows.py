"""Tables of any size as a stream: rows are read, and written with more columns, a chunk at a time.

Values stay as they stand in the file, and so do the order of rows and columns.
"""

import contextlib
import csv
import dataclasses
import gzip
import io
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from rnnapps.config import TableOptions
from rnnapps.data.encodings import decode
from rnnapps.data.separators import check_header, find_separator
from rnnapps.data.tables import json_object, read_table
from rnnapps.errors import ConfigError, DataError
from rnnapps.files import draft_file

FORMATS = ("csv", "tsv", "jsonl", "parquet")
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
        format: What the table is written as: one of `FORMATS`, or `"txt"` for a text a line.
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
    return _kind(path) not in (".txt", "")


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
    kind, options = _kind(path), options or TableOptions()
    if kind == ".parquet":
        yield _parquet(path)
        return
    streamed = kind in (*_SEPARATED, ".jsonl", ".ndjson", ".txt", "")
    if not streamed or path.suffix == ".zip":
        frame = read_table(path, options).frame
        rows = frame.astype(object).where(frame.notna(), "").to_dict("records")
        yield Rows(list(frame.columns), _chunks(iter(rows), lambda: 0.0), "csv")
        return
    with path.open("rb") as raw:
        source = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        sample = source.read(_SAMPLE)
        sample = sample[: sample.rfind(b"\n") + 1] or sample
        head, encoding = decode(sample, str(path), options.encoding)
        source.seek(0)
        errors = "replace" if kind in (".txt", "") else "strict"
        encoding = "utf-8-sig" if encoding == "utf-8" else encoding
        text = io.TextIOWrapper(source, encoding, errors, newline="")
        size = max(1, path.stat().st_size)
        try:
            yield _stream(text, kind, head, options, str(path), lambda: min(1.0, raw.tell() / size))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is not {encoding}: name its encoding with --encoding ({error.reason})."
            ) from None


def _stream(
    text: IO[str], kind: str, head: str, options: TableOptions, where: str, share: Callable
) -> Rows:
    if kind in (".txt", ""):
        lines = ({"text": line.rstrip("\r\n")} for line in text)
        return Rows(["text"], _chunks(lines, share), "txt")
    if kind in (".jsonl", ".ndjson"):
        first = next((line for line in head.splitlines() if line.strip()), "{}")
        rows = (
            json_object(line, f"{where}, line {i}")
            for i, line in enumerate(text, 1)
            if line.strip()
        )
        return Rows(list(json_object(first, f"{where}, line 1")), _chunks(rows, share), "jsonl")
    separator = options.separator or find_separator(head, _SEPARATED[kind], (), where)
    reader = csv.reader(text, delimiter=separator)
    names = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
    check_header(names, where)
    form = "tsv" if separator == "\t" else "csv"
    return Rows(names, _chunks(_named(reader, names, where), share), form, separator)


def _named(reader: Any, names: list[str], where: str) -> Iterator[Row]:
    for row in reader:
        if not row:
            continue
        if len(row) > len(names):
            raise DataError(
                f"{where}, line {reader.line_num}: {len(row)} fields where the first line has "
                f"{len(names)}; put quotation marks around a text that holds the separator."
            )
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


@contextlib.contextmanager
def writing_rows(
    path: pathlib.Path | None, rows: Rows, form: str | None
) -> Iterator[Callable[[list[Row]], None]]:
    """Writes rows as they come; a file appears whole or not at all.

    Args:
        path: The file; `None` for standard output.
        rows: The table that they extend, whose format they have by default.
        form: One of `FORMATS`; `None` for that of the file's name, or the table's.

    Yields:
        A function that writes a list of rows.

    Raises:
        ConfigError: If the format is none of these, or needs a file.
    """
    named = path and _kind(path).removeprefix(".")
    form = form or (named if named in FORMATS else None) or rows.format
    form = "tsv" if form == "txt" else form
    if form not in FORMATS:
        raise ConfigError(f"Expected --format to be {', '.join(FORMATS)}. Received: {form!r}.")
    if form == "parquet":
        if path is None:
            raise ConfigError("Expected --output=FILE with --format=parquet. Received: none.")
        with draft_file(path) as draft:
            yield from _write_parquet(draft, rows)
        return
    separator = rows.separator if form == rows.format else {"tsv": "\t"}.get(form, ",")
    if path is None:
        yield _writer(sys.stdout, form, separator)
        return
    with draft_file(path) as draft:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(draft, "wt", encoding="utf-8", newline="") as file:
            yield _writer(file, form, separator)


def _writer(file: IO[str], form: str, separator: str) -> Callable[[list[Row]], None]:
    names: list[str] = []

    def write(chunk: list[Row]) -> None:
        if form == "jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in chunk)
        else:
            table = csv.writer(file, delimiter=separator, lineterminator="\n")
            if chunk and not names:
                names.extend(chunk[0])
                table.writerow(names)
            table.writerows([row.get(name, "") for name in names] for row in chunk)
        file.flush()

    return write


def _write_parquet(draft: pathlib.Path, rows: Rows) -> Iterator[Callable[[list[Row]], None]]:
    import pyarrow
    import pyarrow.parquet

    writers: list[pyarrow.parquet.ParquetWriter] = []

    def write(chunk: list[Row]) -> None:
        known = rows.schema if rows.schema is not None else pyarrow.schema([])
        new = [name for name in chunk[0] if name not in known.names]
        made = pyarrow.Table.from_pylist([{name: row.get(name) for name in new} for row in chunk])
        schema = writers[0].schema if writers else pyarrow.schema([*known, *made.schema])
        if not writers:
            writers.append(pyarrow.parquet.ParquetWriter(draft, schema))
        writers[0].write_table(pyarrow.Table.from_pylist(chunk, schema))

    yield write
    for writer in writers:
        writer.close()


def _kind(path: pathlib.Path) -> str:
    suffixes: Sequence[str] = [one.lower() for one in path.suffixes if one.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""
