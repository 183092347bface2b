"""Lines that move while something takes its time; nothing is printed where there is no terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.status import Status


def _console() -> Console:
    # Jupyter says FORCE_COLOR, which rich takes for a terminal; and rich would want ipywidgets.
    terminal = sys.stderr.isatty()
    return Console(stderr=True, force_jupyter=False, force_terminal=terminal)


def working(what: str) -> Status:
    """A context in which a terminal shows that work is going on.

    Args:
        what: What is being done, such as `"reading the data"`.

    Returns:
        The context manager.
    """
    return _console().status(f"{what} ...")


def bar(text: str) -> Progress:
    """A bar with a share and a time left; hidden where there is no terminal.

    Args:
        text: What stands before the bar, with the task's fields in braces.

    Returns:
        The bar, which is a context manager.
    """
    console = _console()
    return Progress(
        TextColumn(text),
        BarColumn(16),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        speed_estimate_period=600,
    )


@contextlib.contextmanager
def counting(what: str, unit: str) -> Iterator[Callable[[int, float], None]]:
    """A context in which a terminal shows a count, a share and a time left.

    Args:
        what: What is being done, such as `"answering"`.
        unit: What is counted, such as `"rows"`.

    Yields:
        A function of how many there are so far and of the share of the whole that they are.
    """
    progress = bar("{task.description} {task.fields[count]:,} " + unit)
    progress.disable |= sys.stdout.isatty()  # which shows the answers: no bar between them
    with progress:
        task = progress.add_task(what, total=1.0, count=0)
        yield lambda count, share: progress.update(task, completed=share, count=count)


def say(lines: Iterable[str]) -> None:
    """Says what a person should know, a line each.

    Args:
        lines: The sentences.
    """
    for line in lines:
        print(f"rnnapps: {line.rstrip('.')}.", file=sys.stderr)
