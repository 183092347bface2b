"""Texts from standard input, as they arrive."""

import os
import sys
from collections.abc import Iterator, Sequence

_FIRST, _BATCH = 256, 4096  # texts of the first batch, whose answers come soon, and of the next


def batches_of(arguments: Sequence[str]) -> Iterator[list[str]]:
    """The texts on the command line, or without any the lines of standard input.

    Args:
        arguments: The command line's words.

    Yields:
        Texts; bytes that are not UTF-8 become U+FFFD.
    """
    if arguments:
        yield [os.fsencode(word).decode("utf-8", "replace") for word in arguments]
        return
    if sys.stdin.isatty():
        print("rnnapps: reading lines from the terminal; Ctrl-D ends.", file=sys.stderr)
    batch, size = [], _FIRST
    for line in sys.stdin.buffer:
        batch.append(line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r"))
        if len(batch) == size:
            yield batch
            batch, size = [], _BATCH
    if batch:
        yield batch


def texts_of(arguments: Sequence[str]) -> list[str]:
    """The texts on the command line, or without any all the lines of standard input.

    Args:
        arguments: The command line's words.

    Returns:
        The texts; bytes that are not UTF-8 become U+FFFD.
    """
    return [text for batch in batches_of(arguments) for text in batch]
