"""Files that are there whole or not at all. Imports no TensorFlow."""

import os
import pathlib
import socket


def write(path: pathlib.Path, text: str) -> None:
    """Writes a text file by a rename: whichever processes write it, and whenever they are killed.

    Args:
        path: The file; an older one is replaced.
        text: What it is to hold.
    """
    draft = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.draft")
    draft.write_text(text, "utf-8")
    draft.replace(path)
