"""A text that does not fit into memory: in a file, read piece by piece."""

import contextlib
import functools
import gzip
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from rnnapps.data.cache import cached
from rnnapps.data.opening import open_text, sample_of
from rnnapps.data.texts import Newlines, read_text
from rnnapps.errors import DataError
from rnnapps.files import checksum
from rnnapps.progress import so_far, tracked

_LARGE = 1 << 25  # bytes of files that are not read at once
_PIECE = 1 << 20  # characters of a piece, and the rest of its last line
_LINE = 1 << 24  # characters of a line that is longer than any
_UNSTREAMED = (b"PK\x03\x04", b"%PDF")


class LongText:
    """A text of which only the places of its pieces are in memory.

    Args:
        folder: What `read_long_text` made.
        pieces: int `(pieces, 3)`, the first byte, that behind the last, and the characters of each;
            `None` for all of the text.
    """

    def __init__(self, folder: pathlib.Path, pieces: np.ndarray | None = None):
        self.folder = folder
        self.pieces = np.load(folder / "pieces.npy") if pieces is None else pieces

    def __len__(self) -> int:
        return int(self.pieces[:, 2].sum())

    @property
    def key(self) -> str:
        """What tells this text from others."""
        first, last = (self.pieces[0, 0], self.pieces[-1, 1]) if len(self.pieces) else (0, 0)
        return f"{self.folder.name}:{first}:{last}"

    def __iter__(self) -> Iterator[str]:
        """The pieces: each ends with a line, but for the last."""
        with (self.folder / "text").open("rb") as file:
            for start, end, _ in tracked(self.pieces.tolist(), "million characters"):
                file.seek(start)
                yield file.read(end - start).decode("utf-8", "surrogateescape")

    def __getitem__(self, place: slice) -> "LongText":
        first, last, _ = place.indices(len(self))
        return self._without(first)._first(max(0, last - first))

    def splitlines(self, keepends: bool = False) -> Iterator[str]:
        """Its lines, one after the other."""
        for piece in self:
            yield from piece.splitlines(keepends)

    def _first(self, count: int) -> "LongText":
        ends = np.cumsum(self.pieces[:, 2])
        whole = int(np.searchsorted(ends, count, "right"))
        pieces, rest = self.pieces[:whole], count - (int(ends[whole - 1]) if whole else 0)
        if rest:
            start = self.pieces[whole, 0]
            last = (start, start + self._size(whole, rest), rest)
            pieces = np.concatenate([pieces, [last]])
        return LongText(self.folder, pieces)

    def _without(self, count: int) -> "LongText":
        ends = np.cumsum(self.pieces[:, 2])
        whole = int(np.searchsorted(ends, count, "right"))
        pieces, rest = self.pieces[whole:].copy(), count - (int(ends[whole - 1]) if whole else 0)
        if rest:
            pieces[0, 0] += self._size(whole, rest)
            pieces[0, 2] -= rest
        return LongText(self.folder, pieces)

    def _size(self, number: int, count: int) -> int:
        """The bytes of a piece's first characters."""
        (piece,) = LongText(self.folder, self.pieces[number : number + 1])
        return len(piece[:count].encode("utf-8", "surrogateescape"))


def are_long(files: Sequence[pathlib.Path]) -> bool:
    """Whether files of a text are too large to be read at once.

    Args:
        files: The files.

    Returns:
        Whether they hold more than 32 MB together.
    """
    return sum(one.stat().st_size for one in files) > _LARGE


def read_long_text(
    files: Sequence[pathlib.Path],
    encoding: str | None = None,
    errors: str = "strict",
    newlines: Newlines = "normalize",
    as_bytes: bool = False,
) -> LongText:
    r"""Reads the text of files, one behind the other, with an end of line between them.

    Args:
        files: The files.
        encoding: See `read_text`.
        errors: See `read_text`.
        newlines: See `read_text`.
        as_bytes: Whether to read bytes as `read_bytes` does, whatever the encoding.

    Returns:
        The text.

    Raises:
        DataError: If a file cannot be read, is no text, or cannot be decoded.
    """

    def pieces() -> Iterator[str]:
        total, done = sum(one.stat().st_size for one in files), 0
        for path in files:
            last = ""
            opened = _open_bytes(path) if as_bytes else _open(path, encoding, errors, newlines)
            with opened as file:
                for piece in iter(functools.partial(_next, file), ""):
                    if not as_bytes and "\0" in piece:
                        raise DataError(f"{path} is not a text: it holds the byte 0x00.")
                    if last:
                        yield last
                    last = piece
                    done += len(piece)
                    so_far(min(done, total), total, "bytes")
            if last:
                yield last + "\n" * (len(files) > 1 and not last.endswith("\n"))

    def make(folder: pathlib.Path) -> None:
        found, end = [], 0
        with (folder / "text").open("wb") as file:
            for piece in pieces():
                data = piece.encode("utf-8", "surrogateescape")
                file.write(data)
                found.append((end, end + len(data), len(piece)))
                end += len(data)
        np.save(folder / "pieces.npy", np.array(found, np.int64).reshape(-1, 3))

    sums = [checksum(one) for one in tracked(files, "files")]
    return LongText(cached(make, "text", *files, *sums, encoding, errors, newlines, as_bytes))


def _next(file: IO[str]) -> str:
    """The next piece of a file, up to an end of line."""
    piece = file.read(_PIECE)
    if piece and not piece.endswith("\n"):
        piece += file.readline(_LINE)
    return piece


@contextlib.contextmanager
def _open(
    path: pathlib.Path, encoding: str | None, errors: str, newlines: Newlines
) -> Iterator[IO[str]]:
    if sample_of(path).startswith(_UNSTREAMED):  # archives and documents
        yield io.StringIO(read_text(path, encoding, errors, newlines), newline="")
        return
    with open_text(path, encoding, errors, None if newlines == "normalize" else "") as text:
        yield text.file


@contextlib.contextmanager
def _open_bytes(path: pathlib.Path) -> Iterator[IO[str]]:
    with path.open("rb") as raw:
        source = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        yield io.TextIOWrapper(source, "utf-8", "surrogateescape", newline="")
