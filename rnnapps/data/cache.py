"""Cached files of data that does not fit into memory: made once, completely, and found again."""

import contextlib
import contextvars
import dataclasses
import functools
import hashlib
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator

from rnnapps.errors import ConfigError, RnnappsError, flag
from rnnapps.files import checksum, draft_folder, read_json, remove_tree, write

_NOTE = "checksums.json"
_VERSION = 1  # of what is written; another one's files are not looked at
_chosen: contextvars.ContextVar[pathlib.Path | None] = contextvars.ContextVar("kept", default=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """The flag of every command that reads data to learn from or to measure on."""

    cache_dir: pathlib.Path | None = None
    """Folder for files made from large data (texts, ids, columns), which later commands reuse. By
    default they are deleted when the command ends, and kept with an interrupted run."""


@contextlib.contextmanager
def cache_in(folder: pathlib.Path | None) -> Iterator[None]:
    """Has files be made in a folder; where one was chosen outside, that one is taken.

    Args:
        folder: The folder, which appears when there is something to keep; `None` chooses none.

    Yields:
        Nothing.

    Raises:
        ConfigError: If it is a file, or below one.
    """
    for place in () if folder is None else (folder, *folder.parents):
        if place.is_file():
            raise ConfigError(
                f"Expected {flag('cache_dir')} to be a folder. Received: {folder}, and {place} is "
                "a file."
            )
    before = _chosen.set(_chosen.get() or folder)
    try:
        yield
    finally:
        _chosen.reset(before)


def cached(make: Callable[[pathlib.Path], None], *key: object) -> pathlib.Path:
    """The folder with the files of a key.

    They are made where there are none, or where they are damaged: their checksums are compared.
    Without a folder that was chosen (`cache_in`) they last as long as the process.

    Args:
        make: Writes the files into the folder that it is given.
        *key: What they are made of and how, as `str` shows it.

    Returns:
        The folder.

    Raises:
        DiskError: If the disk is full; nothing half-written is left.
    """
    root = _chosen.get() or _of_the_process()
    name = hashlib.sha256(repr((_VERSION, *map(str, key))).encode()).hexdigest()[:32]
    place = root / name
    if _is_whole(place):
        return place
    with draft_folder(root, f".{name}.") as draft:
        draft.mkdir()
        make(draft)
        files = sorted(one for one in draft.rglob("*") if one.is_file())
        sums = {one.relative_to(draft).as_posix(): checksum(one) for one in files}
        write(draft / _NOTE, json.dumps(sums))
        try:
            draft.rename(place)
        except OSError:
            if not _is_whole(place):  # else another process was first, and may be reading it
                remove_tree(place)
                draft.rename(place)
    return place


def _is_whole(folder: pathlib.Path) -> bool:
    """Whether the files are there as they were written."""
    try:
        sums = read_json(folder / _NOTE)
        return all(checksum(folder / name) == known for name, known in sums.items())
    except (OSError, RnnappsError):
        return False


@functools.cache
def _of_the_process() -> pathlib.Path:
    folder = tempfile.TemporaryDirectory(prefix="rnnapps-")
    _of_the_process.kept = folder  # type: ignore[attr-defined]  # is deleted at the process's end
    return pathlib.Path(folder.name)
