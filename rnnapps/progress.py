"""A line that moves while something takes its time."""

import sys

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
