"""Files that are written completely or not at all, and locks. Imports no TensorFlow."""

import contextlib
import errno
import glob
import hashlib
import io
import json
import os
import pathlib
import shutil
import socket
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

from rnnapps.errors import DataError, DiskError, RnnappsError, RunError, flag

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space, a user's quota, a file's limit


def write(path: pathlib.Path, text: str) -> None:
    """Writes a text file by a rename: whichever processes write it, and whenever they are killed.

    Args:
        path: The file; an older one is replaced. A device or a pipe is written to as it is.
        text: What it is to hold.

    Raises:
        DiskError: If the disk is full; an older file is then as it was.
    """
    if path.exists() and not path.is_file():
        with enough_space(path.parent):
            path.write_text(text, "utf-8")
        return
    with draft_file(path) as draft:
        draft.write_text(text, "utf-8")


@contextlib.contextmanager
def draft_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file beside the one that is meant, which takes its name when it is whole.

    Args:
        path: The file; an older one is replaced, a link goes on naming it.

    Yields:
        The path to write to.

    Raises:
        DiskError: If the disk is full.
    """
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.draft")
    with enough_space(path.parent):
        try:
            yield draft
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        RunError: If there is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged, it is not JSON: {str(error)[:200]}.") from None
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged: expected a JSON object. Received: {str(found)[:50]}.")
    return found


def checksum(path: pathlib.Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(folder: pathlib.Path) -> None:
    """Deletes a folder, which is gone from its name before the first of its files is deleted.

    What an earlier deletion left that was killed in the middle is deleted too.

    Args:
        folder: The folder; there need be none. A file of this name is left alone.
    """
    name = folder.name.lstrip(".")
    if folder.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another process was first
            folder.rename(folder.with_name(f".{name}.{uuid.uuid4().hex}.removed"))
    for left in folder.parent.glob(f".{glob.escape(name)}.*.removed"):
        shutil.rmtree(left, ignore_errors=True)  # another process may be at it, too


@contextlib.contextmanager
def draft_folder(parent: pathlib.Path, prefix: str) -> Iterator[pathlib.Path]:
    """A hidden folder to write in, from which what is whole is renamed to where it belongs.

    It ends with the `with` statement; that of a process which was killed, with the next draft.

    Args:
        parent: The folder that holds it; it is made where there is none.
        prefix: How its name begins, and what tells the drafts of one thing from those of another.

    Yields:
        A folder that is not there yet, within the hidden one.

    Raises:
        DiskError: If the disk is full.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{glob.escape(prefix)}*"):
        # One that is held is in use; one that is gone has been swept by another process.
        gone = contextlib.suppress(BlockingIOError, FileNotFoundError)
        with gone, locked(left / ".lock", wait=False):
            remove_tree(left)
    folder = parent / f"{prefix}{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(enough_space(parent))
        stack.callback(remove_tree, folder)
        while True:
            folder.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # swept before it was held
                stack.enter_context(locked(folder / ".lock"))
                break
        yield folder / "whole"


@contextlib.contextmanager
def temporary_files_in(folder: pathlib.Path) -> Iterator[None]:
    """Has this process make its temporary files in a folder, which is deleted after a kill.

    Args:
        folder: The folder, such as that of a draft.

    Yields:
        Nothing.
    """
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def enough_space(folder: pathlib.Path) -> Iterator[None]:
    """Says in one sentence that a disk is full, where something inside finds out.

    Args:
        folder: The folder that is written to.

    Yields:
        Nothing.

    Raises:
        DiskError: If the disk is full.
    """
    try:
        yield
    except DiskError:
        raise
    except Exception as error:  # TensorFlow and HDF5 have errors of their own
        reason = full_disk(error)
        if reason is None:
            raise
        while not folder.is_dir():
            folder = folder.parent
        temporary = pathlib.Path(tempfile.gettempdir())
        free = [f"{shutil.disk_usage(one).free / 1e6:.0f} MB" for one in (folder, temporary)]
        raise DiskError(
            f"{reason}: {folder.absolute()} has {free[0]} free, the temporary folder {temporary} "
            f"{free[1]}; make room and repeat the command."
        ) from None


def full_disk(error: BaseException | None) -> str | None:
    """The system's word for a full disk, if that is what an error, or the one before it, means."""
    if error is None:
        return None
    for number in _FULL:
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return os.strerror(number)
    return full_disk(error.__context__)


@contextlib.contextmanager
def locked(path: pathlib.Path, wait: bool = True) -> Iterator[None]:
    """Holds a file's lock, which ends with the process at the latest.

    Args:
        path: The file; it appears where there is none.
        wait: Whether to wait for another process that holds it.

    Yields:
        Nothing.

    Raises:
        BlockingIOError: If another process holds it, and not `wait`.
        FileNotFoundError: If its folder is gone.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system: what needs no lock works
        raise RnnappsError(
            "rnnapps trains, tunes and exports on POSIX systems: Linux, macOS, or WSL on Windows. "
            "This one has no fcntl, whose locks keep two processes from writing one folder."
        ) from None
    while True:
        with path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Whoever held it before may have removed the folder that it was in.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                yield
                return


@contextlib.contextmanager
def alone(path: pathlib.Path, otherwise: str) -> Iterator[None]:
    """Holds a file's lock, or says why not.

    Args:
        path: The file.
        otherwise: The sentence where another process holds it.

    Yields:
        Nothing.

    Raises:
        RunError: If another process holds it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path, wait=False))
        except BlockingIOError:
            raise RunError(otherwise) from None
        yield


def check_there(path: pathlib.Path | str, option: str = "") -> None:
    """Says that a file is not there, and who named it.

    Args:
        path: A path; of `data` also a data set's name or a pattern of paths, which pass.
        option: The setting that names it; `""` where it stands behind a command.

    Raises:
        DataError: If it is empty, or a path of nothing.
    """
    path, named = str(path), f" ({flag(option)})" if option else ""
    if not path:
        raise DataError(f"Expected a path or a name{named}. Received: ''.")
    path_like = os.sep in path or pathlib.Path(path).suffix
    other = option in ("data", "") and (glob.has_magic(path) or not path_like)
    if not other and not os.path.exists(path):
        raise DataError(f"No such file or folder: {path}{named}.")


def packed(folder: pathlib.Path) -> bytes:
    """A folder as one archive.

    Args:
        folder: The folder.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, arcname=".")
    return content.getvalue()


def unpack(content: bytes, folder: pathlib.Path) -> None:
    """Writes what `packed` made into a folder.

    Args:
        content: The archive.
        folder: The folder.
    """
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
