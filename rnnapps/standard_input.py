"""What a command reads where no texts are given to it."""

import sys


def read_lines() -> list[str]:
    """The lines of standard input, without their ends; bytes that are not UTF-8 become U+FFFD."""
    if sys.stdin.isatty():
        print("rnnapps: reading lines from the terminal; Ctrl-D ends.", file=sys.stderr)
    lines = sys.stdin.buffer.read().decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
