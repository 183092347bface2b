"""The texts that a command answers for."""

import os
import sys
from collections.abc import Sequence


def texts_of(arguments: Sequence[str]) -> list[str]:
    """The texts on the command line, or without any the lines of standard input.

    Args:
        arguments: The command line's words.

    Returns:
        The texts; bytes that are not UTF-8 become U+FFFD.
    """
    return [os.fsencode(word).decode("utf-8", "replace") for word in arguments] or read_lines()


def read_lines() -> list[str]:
    """The lines of standard input, without their ends; bytes that are not UTF-8 become U+FFFD."""
    if sys.stdin.isatty():
        print("rnnapps: reading lines from the terminal; Ctrl-D ends.", file=sys.stderr)
    lines = sys.stdin.buffer.read().decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
