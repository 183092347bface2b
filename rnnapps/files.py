"""Files that are there whole or not at all, and that one process holds. Imports no TensorFlow."""

import contextlib
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator

from rnnapps.errors import RunError


def write(path: pathlib.Path, text: str) -> None:
    """Writes a text file by a rename: whichever processes write it, and whenever they are killed.

    Args:
        path: The file; an older one is replaced. A device or a pipe is written to as it is.
        text: What it is to hold.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, "utf-8")
        return
    path = path.resolve()  # a link goes on naming the file
    draft = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.draft")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


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
    """
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


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
