"""A user's file: its bytes, unpacked, and its format."""

import functools
import gzip
import io
import pathlib
import zipfile
import zlib

from rnnapps.errors import DataError
from rnnapps.progress import TrackedBytes

_OTHERS = {
    ".doc": "a Word document", ".docx": "a Word document", ".odt": "a document",
    ".rtf": "a document", ".pages": "a document", ".pdf": "a PDF", ".epub": "an e-book",
}  # fmt: skip
_SHEETS = (".xls", ".ods", ".numbers", ".xlsb", ".dta", ".sav", ".rds", ".mat", ".feather", ".orc")
_ARCHIVES = {
    b"7z\xbc\xaf": ".7z", b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"\x28\xb5\x2f\xfd": ".zst",
    b"Rar!": ".rar",
}  # fmt: skip
_PIECE = 2**20  # bytes that are unpacked before it is said how far the work is


def read_contents(path: pathlib.Path | str) -> tuple[bytes, str]:
    """Reads a file, also one that is gzipped or the only one in a zip archive.

    What a file is follows from its first bytes where these say it, and else from its name.

    Args:
        path: The file.

    Returns:
        Its bytes, and its kind: the lower-case suffix that it should have.

    Raises:
        DataError: If it is missing, cannot be unpacked, or is a document or another program's file.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise DataError(f"No such file or folder: {path}.")
    if path.is_dir():
        files = sorted(one.name for one in path.iterdir() if one.is_file())
        named = f", such as {path / files[0]}" if files else ""
        raise DataError(f"{path} is a folder; name a file{named}.")
    try:
        return _unpacked(path.read_bytes(), path.name, path)
    except gzip.BadGzipFile:
        raise DataError(
            f"{path} is not gzipped; if it is not packed at all, take .gz off its name."
        ) from None
    except EOFError:
        raise DataError(f"{path} ends before all of it is unpacked; fetch it again.") from None
    except (OSError, zlib.error, zipfile.BadZipFile) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"Cannot read {path}: {said}.") from None


def _unpacked(content: bytes, name: str, path: pathlib.Path) -> tuple[bytes, str]:
    kind = pathlib.Path(name).suffix.lower()
    if kind == ".gz" or content.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=TrackedBytes(content)) as file:
            return _unpacked(file.read(), name[:-3] if kind == ".gz" else name, path)
    if content.startswith(b"PAR1"):
        return content, ".parquet"
    if content.startswith(b"%PDF"):
        kind = ".pdf"
    elif content.startswith(b"PK\x03\x04"):
        kind = _kind_of_archive(content, kind)
        if kind == ".zip":
            return _unpacked(*_only_member(content, path), path)
    elif content.startswith(b"\xd0\xcf\x11\xe0") and kind != ".doc":  # Office before 2007
        kind = ".xls"
    elif kind == ".xlsx" and content:
        raise DataError(f"{path} is no Excel file; if it is a table of text, name it .csv.")
    packed = next((kind for mark, kind in _ARCHIVES.items() if content.startswith(mark)), None)
    if packed or content[257:262] == b"ustar":
        raise DataError(f"{path} is an archive ({packed or '.tar'}); unpack it.")
    if kind in _OTHERS:
        raise DataError(f"{path} is {_OTHERS[kind]}; save it as text (a .txt or .csv of UTF-8).")
    if kind in _SHEETS:
        raise DataError(f"{path} is another program's file; save it as .csv, .xlsx or .parquet.")
    return content, kind


def _kind_of_archive(content: bytes, kind: str) -> str:
    """Office's documents are zip archives, too."""
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    for folder, found in (("xl/", ".xlsx"), ("word/", ".docx")):
        if any(name.startswith(folder) for name in names):
            return found
    return kind if kind in _OTHERS or kind in _SHEETS else ".zip"


def _only_member(content: bytes, path: pathlib.Path) -> tuple[bytes, str]:
    archive = zipfile.ZipFile(TrackedBytes(content))
    members = [
        one for one in archive.infolist()
        if not one.is_dir() and not one.filename.startswith(("__MACOSX/", "."))
    ]  # fmt: skip
    if len(members) != 1:
        names = ", ".join(one.filename for one in members[:5])
        raise DataError(
            f"Expected one file in {path}. Received: {len(members)} ({names}); unpack the one you "
            "mean."
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{path} is encrypted; unpack it.")
    with archive.open(members[0]) as file:
        pieces = iter(functools.partial(file.read, _PIECE), b"")
        return b"".join(pieces), members[0].filename
