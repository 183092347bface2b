"""Reads a whole text file."""

import gzip
import pathlib
import zlib
from typing import Literal

from rnnapps.data.contents import read_contents
from rnnapps.data.encodings import decode
from rnnapps.errors import DataError

Newlines = Literal["normalize", "keep"]


def read_text(
    path: pathlib.Path,
    encoding: str | None = None,
    errors: str = "strict",
    newlines: Newlines = "normalize",
) -> str:
    r"""Reads a file's text.

    Args:
        path: The file, also gzipped or alone in a zip archive.
        encoding: Its encoding; `None` for that of its byte order mark, or UTF-8.
        errors: `"strict"`, or `"replace"` to read what cannot be decoded as U+FFFD.
        newlines: `"normalize"` to make `\n` of each `\r\n` and `\r`, or `"keep"`.

    Returns:
        The text.

    Raises:
        DataError: If it cannot be read, is no text, or cannot be decoded.
    """
    content, _ = read_contents(path)
    text, _ = decode(content, str(path), encoding, errors)
    return text.replace("\r\n", "\n").replace("\r", "\n") if newlines == "normalize" else text


def read_bytes(path: pathlib.Path) -> str:
    """Reads any file, as it is but for gzip's compression.

    Args:
        path: The file.

    Returns:
        Its bytes; one that is not UTF-8 is a surrogate character, as `surrogateescape` makes it.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"Cannot read {path}: {said}.") from None
    return content.decode("utf-8", "surrogateescape")
