"""Text files as streams: unpacked and decoded as they are read."""

import codecs
import contextlib
import dataclasses
import gzip
import io
import pathlib
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from rnnapps.data.encodings import decode
from rnnapps.errors import DataError

_SAMPLE = 1 << 20  # bytes that say how a file is written


@dataclasses.dataclass(frozen=True)
class OpenText:
    """A text that is read as it is asked for.

    Args:
        file: The text.
        head: Its first lines.
        encoding: Its encoding.
        share: What share of the file was read.
    """

    file: IO[str]
    head: str
    encoding: str
    share: Callable[[], float]


def sample_of(path: pathlib.Path) -> bytes:
    """The first bytes of a file, unpacked where it is gzipped."""
    with path.open("rb") as raw, _as_it_begins(path):
        return _unpacked(raw, path).read(_SAMPLE)


@contextlib.contextmanager
def open_text(
    path: pathlib.Path,
    encoding: str | None = None,
    errors: str = "strict",
    newline: str | None = "",
) -> Iterator[OpenText]:
    """Opens a text; what `decode` says of its beginning is taken for all of it.

    Args:
        path: The file, gzipped or not.
        encoding: Its encoding; `None` for that of its byte order mark, or UTF-8.
        errors: `"strict"`, or `"replace"` to read what cannot be decoded as U+FFFD.
        newline: `""` to keep line ends as they are, or `None` to make one character of each.

    Yields:
        The text.

    Raises:
        DataError: If it cannot be unpacked or decoded.
    """
    with path.open("rb") as raw, _as_it_begins(path):
        source = _unpacked(raw, path)
        sample = source.read(_SAMPLE)
        sample = sample[: sample.rfind(b"\n") + 1 or sample.rfind(b"\r") + 1] or sample
        # Of UTF-16, and of a line that is longer, the sample may end within a character.
        whole = sample.endswith((b"\n", b"\r")) and b"\0" not in sample
        head, found = decode(sample, str(path), encoding, errors if whole else "replace")
        source.seek(0)
        name = "utf-8-sig" if found == "utf-8" else found
        file = io.TextIOWrapper(source, name, errors, newline)
        if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
            file.read(1)
        size = max(1, path.stat().st_size)
        yield OpenText(file, head, found, lambda: min(1.0, raw.tell() / size))


def _unpacked(raw: IO[bytes], path: pathlib.Path) -> IO[bytes]:
    packed = path.suffix == ".gz" or raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[return-value]


@contextlib.contextmanager
def _as_it_begins(path: pathlib.Path) -> Iterator[None]:
    """Says in one sentence that a file is not what it begins as."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged, it cannot be unpacked: {error}.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {error.encoding}: name its encoding with --encoding ({error.reason})."
        ) from None
