"""A line that moves while something takes its time."""

from rich.console import Console
from rich.status import Status


def working(what: str) -> Status:
    """A context in which a terminal shows that work is going on; nothing is printed elsewhere.

    Args:
        what: What is being done, such as `"reading the data"`.

    Returns:
        The context manager.
    """
    # In a notebook, rich would warn that it lacks ipywidgets.
    return Console(stderr=True, force_jupyter=False).status(f"{what} ...")
