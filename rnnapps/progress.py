"""What is said to a person while something goes on: never on standard output."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.status import Status


def working(what: str) -> Status:
    """A context in which a terminal shows that work is going on; nothing is printed elsewhere.

    Args:
        what: What is being done, such as `"reading the data"`.

    Returns:
        The context manager.
    """
    # Jupyter says FORCE_COLOR, which rich takes for a terminal; and rich would want ipywidgets.
    terminal = sys.stderr.isatty()
    console = Console(stderr=True, force_jupyter=False, force_terminal=terminal)
    return console.status(f"{what} ...")


def say(lines: Iterable[str]) -> None:
    """Says what a person should know, a line each.

    Args:
        lines: The sentences.
    """
    for line in lines:
        print(f"rnnapps: {line.rstrip('.')}.", file=sys.stderr)
