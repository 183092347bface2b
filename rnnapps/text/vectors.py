"""Word vectors from a file of any size: GloVe's and fastText's text, word2vec's binary, gzipped.

Only the rows of a vocabulary are kept in memory. A token is compared as bytes of UTF-8, so that a
file's few damaged characters harm nobody else's.
"""

import codecs
import contextlib
import gzip
import io
import itertools
import math
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnnapps.errors import DataError
from rnnapps.progress import so_far
from rnnapps.text.tokenizer import utf8

_BUFFER = 1 << 20  # bytes that are read at a time: of a line, at most
_TOKEN, _WIDTH = 1000, 10_000  # bytes of a token, and numbers of a vector, at most
_LOOK = 10_000  # rows between two words about how far the reading is
_OTHERS = {
    b"\xba\x16\x4f\x2f": "is a fastText model; take the text file (.vec) beside it",
    b"PK\x03\x04": "is a zip archive; unpack it",
}
Row = tuple[str, bytes, bytes]  # where it stands, its token, and its numbers as they are written


class Vectors(NamedTuple):
    """What a file knows of some tokens.

    Args:
        rows: float32 `(tokens, width)`; zero where a token was not found.
        found: Booleans `(tokens,)`.
    """

    rows: np.ndarray
    found: np.ndarray


class _File(NamedTuple):
    """An open file of vectors, behind its header."""

    path: pathlib.Path
    stream: io.BufferedReader
    width: int
    count: int | None  # of vectors, where a header says it
    binary: bool
    said: Callable[[], None]  # says how far the reading is


def vectors_width(path: pathlib.Path) -> int:
    """How wide the vectors of a file are.

    Args:
        path: The file.

    Returns:
        The width.

    Raises:
        DataError: If it cannot be read, or begins with no vector.
    """
    with _opened(path) as file:
        return file.width


def read_vectors(path: pathlib.Path, tokens: Sequence[str | bytes], lower: bool = False) -> Vectors:
    """Reads the vectors of some tokens, in memory that does not depend on the file's size.

    Args:
        path: The file.
        tokens: The tokens; spaces around them don't count.
        lower: Whether a token that the file lacks gets the vector of one that differs in case.

    Returns:
        Their vectors, and which were found; of a token that stands in the file twice, the first.

    Raises:
        DataError: If the file cannot be read, or is damaged where it was read.
    """
    places: dict[bytes, list[int]] = {}
    for place, token in enumerate(tokens):
        places.setdefault(utf8(token).strip(b" "), []).append(place)
    places.pop(b"", None)
    alike: dict[bytes, list[int]] = {}  # by lower case
    for one, here in places.items() if lower else ():
        alike.setdefault(_lower(one), []).extend(here)
    with _opened(path) as file:
        rows = np.zeros((len(tokens), file.width), np.float32)
        exact, folded = np.zeros((2, len(tokens)), bool)
        if file.binary:
            records, numbers = _binary_rows(file), _binary_numbers
        else:
            records, numbers = _text_rows(file), _text_numbers
        for number, (where, token, content) in enumerate(records):
            if number % _LOOK == 0:
                file.said()
            here = places.get(token)
            if here is not None and not exact[here[0]]:
                rows[here], exact[here] = numbers(where, content), True
            if lower and (others := alike.get(_lower(token))):
                others = [place for place in others if not (exact[place] or folded[place])]
                if others:
                    rows[others], folded[others] = numbers(where, content), True
    return Vectors(rows, exact | folded)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[_File]:
    """Opens a file, and finds out from its first bytes how it is written."""
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(path.open("rb", buffering=0))
            size = path.stat().st_size
            first = raw.read(4)
            raw.seek(0)
            if what := _OTHERS.get(first):
                raise DataError(f"{path} {what}.")
            content = gzip.GzipFile(fileobj=raw) if first.startswith(b"\x1f\x8b") else raw
            stream = stack.enter_context(io.BufferedReader(content, _BUFFER))
            yield _File(
                path, stream, *_header(path, stream),
                lambda: so_far(raw.tell() // 10**6, size // 10**6, "MB"),
            )  # fmt: skip
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"Cannot read {path}: {said}.") from None


def _header(path: pathlib.Path, stream: io.BufferedReader) -> tuple[int, int | None, bool]:
    """The width, the number of vectors where the file says it, and whether it is binary."""
    if stream.peek(3)[:3] == codecs.BOM_UTF8:
        stream.read(3)
    peeked = stream.peek()[:_BUFFER]
    if not peeked:
        raise DataError(f"{path} is empty: it has no vectors.")
    line, _, rest = peeked.partition(b"\n")
    pieces = line.split()
    if len(pieces) == 2 and all(map(bytes.isdigit, pieces)):
        count, width = map(int, pieces)
        if not count or not 0 < width <= _WIDTH:
            raise DataError(f"{path} has no vectors: it says {count:,} of width {width:,}.")
        stream.readline(_BUFFER)
        return width, count, _is_binary((rest.partition(b" ")[2] or rest)[: 4 * width])
    behind = itertools.takewhile(_is_number, reversed(pieces[1:]))
    width = len(list(behind))
    if not 1 < width <= _WIDTH:
        raise DataError(
            f"{path}, line 1: Expected a word and numbers, a space between any two. "
            f"Received: {_shown(line)}."
        )
    return width, None, False


def _is_binary(sample: bytes) -> bool:
    """Whether bytes behind a token are of a float32 array: then they are no text."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return any(character < " " and character not in "\t\r\n" for character in text)


def _text_rows(file: _File) -> Iterator[Row]:
    rows = 0
    for number in itertools.count(1 if file.count is None else 2):
        line = file.stream.readline(_BUFFER)
        if not line:
            break
        where = f"{file.path}, line {number}"
        bare = line.rstrip(b" \r\n")  # fastText ends its lines with a space
        spaces = bare.count(b" ")
        if len(line) == _BUFFER or (bare and spaces < file.width):
            raise DataError(
                f"{where}: Expected a word and {file.width} numbers, as before. Received: "
                f"{_shown(bare)}."
            )
        if not bare:
            continue
        token = bare.partition(b" ")[0]
        if spaces > file.width:  # a token with spaces, which ends with no number
            token = bare.rsplit(b" ", file.width)[0]
            if _is_number(token.rpartition(b" ")[2]):
                raise DataError(
                    f"{where}: Expected a word and {file.width} numbers, as before. Received: "
                    f"more, {_shown(bare)}."
                )
        rows += 1
        yield where, token, bare[len(token) :]
    if file.count is not None and rows < file.count:
        raise _cut_off(file, rows)


def _text_numbers(where: str, content: bytes) -> np.ndarray:
    pieces = content.split()
    for piece in pieces:
        if not _is_number(piece):
            raise DataError(f"{where}: Expected a number. Received: {_shown(piece)}.")
    return np.array(list(map(float, pieces)), np.float32)


def _binary_rows(file: _File) -> Iterator[Row]:
    for row in range(file.count or 0):
        where = f"{file.path}, vector {row + 1}"
        token = bytearray()
        while (byte := file.stream.read(1)) not in (b" ", b"") and len(token) < _TOKEN:
            token += byte
        content = file.stream.read(4 * file.width)
        if byte not in (b" ", b""):
            raise DataError(
                f"{where}: Expected a word of less than {_TOKEN:,} bytes, and a space. Received: "
                f"{_shown(token)}."
            )
        if len(content) < 4 * file.width:
            raise _cut_off(file, row)
        yield where, bytes(token).lstrip(b"\n"), content  # a line's end stands before it, or not


def _binary_numbers(where: str, content: bytes) -> np.ndarray:
    numbers = np.frombuffer(content, "<f4")
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: Expected numbers. Received: one that is none.")
    return numbers


def _cut_off(file: _File, rows: int) -> DataError:
    return DataError(
        f"{file.path} was cut off: it ends behind {rows:,} of the {file.count or 0:,} vectors that "
        "it says it has; load it again."
    )


def _lower(token: bytes) -> bytes:
    return token.decode("utf-8", "replace").lower().encode()


def _is_number(piece: bytes) -> bool:
    try:
        return math.isfinite(float(piece))
    except ValueError:
        return False


def _shown(line: bytes | bytearray) -> str:
    text = repr(line[:100].decode("utf-8", "replace"))
    return text if len(text) <= 80 and len(line) <= 100 else f"{text[:80]}...'"
