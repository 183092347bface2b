"""Progress lines; nothing is printed without a terminal."""

import contextlib
import contextvars
import datetime
import io
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")
_LATE = 2.0  # seconds after which progress is shown
_EVERY = 0.1  # seconds between updates
_shown: contextvars.ContextVar[tuple[Progress, TaskID] | None] = contextvars.ContextVar(
    "shown", default=None
)  # the current work

_muted = contextvars.ContextVar("muted", default=False)


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """A context without messages and progress lines, which another process prints."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def _console() -> Console:
    # Jupyter sets FORCE_COLOR, which rich takes for a terminal; and rich would need ipywidgets.
    terminal = sys.stderr.isatty() and not _muted.get()
    return Console(stderr=True, force_jupyter=False, force_terminal=terminal)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """A context in which a terminal shows a spinner.

    After two seconds it also shows the progress of `tracked` items.

    Args:
        what: Description, such as `"reading the data"`.
    """
    outer, console = _shown.get(), _console()
    progress = outer[0] if outer else Progress(
        SpinnerColumn(), TextColumn("{task.description} ..."), _SoFar(),
        console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip
    with contextlib.nullcontext() if outer else progress:
        task = progress.add_task(what, total=None, unit="")
        token = _shown.set((progress, task))
        try:
            yield
        finally:
            _shown.reset(token)
            progress.remove_task(task)


class _SoFar(ProgressColumn):
    """Count, percentage and remaining time of slow work."""

    def render(self, task: Task) -> Text:
        if not task.total or not task.completed or (task.elapsed or 0) < _LATE:
            return Text("")
        said = f"{task.completed:,.0f} of {task.total:,.0f} {task.fields['unit']}"
        left = task.time_remaining
        left = "" if left is None else f"  {datetime.timedelta(seconds=int(left))} left"
        return Text(f"{said}  {task.percentage:.0f} %{left}")


def so_far(done: int, total: int, unit: str) -> None:
    """Updates the progress that `working` shows, if any.

    Args:
        done: Number of items done.
        total: Total number of items.
        unit: Name of the items, such as `"rows"`.
    """
    if shown := _shown.get():
        progress, task = shown
        progress.update(task, completed=done, total=total, unit=unit)


def tracked(items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """Yields items and counts them on the line that `working` shows.

    Args:
        items: The items.
        unit: Name of the items, such as `"rows"`.
        total: Number of items; `None` for `len(items)`.

    Yields:
        Each item.
    """
    shown = _shown.get()
    if shown is None or shown[0].disable:
        yield from items
        return
    total, looked = len(items) if total is None else total, 0.0
    for done, item in enumerate(items, 1):
        yield item
        if (now := time.monotonic()) - looked > _EVERY:
            looked = now
            so_far(done, total, unit)


class TrackedBytes(io.BytesIO):
    """A bytes file whose reading progress is shown on the line of `working`.

    Args:
        content: The bytes.
    """

    def __init__(self, content: bytes):
        super().__init__(content)
        self.size, self.looked = len(content), 0.0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if (now := time.monotonic()) - self.looked > _EVERY:
            self.looked = now
            so_far(self.tell(), self.size, "bytes")
        return found


class TrackedText(io.StringIO):
    """A text file whose reading progress is shown on the line of `working`.

    Args:
        text: The text; its line ends are kept.
    """

    def __init__(self, text: str):
        super().__init__(text, newline="")
        self.size = len(text)

    def read(self, size: int | None = -1) -> str:
        found = super().read(size)
        so_far(self.tell(), self.size, "characters")
        return found


def bar(text: str) -> Progress:
    """A progress bar with percentage and remaining time; hidden without a terminal.

    Args:
        text: Text before the bar, with the task's fields in braces.

    Returns:
        The bar, a context manager.
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
    """A context in which a terminal shows a count, a percentage and the remaining time.

    Args:
        what: Description, such as `"answering"`.
        unit: Name of the counted items, such as `"rows"`.

    Yields:
        A function that takes the count so far and its fraction of the total.
    """
    progress = bar("{task.description} {task.fields[count]:,} " + unit)
    with progress:
        task = progress.add_task(what, total=1.0, count=0)
        yield lambda count, share: progress.update(task, completed=share, count=count)


def say(lines: Iterable[str]) -> None:
    """Prints messages to the user, one per line, wrapped at words on a terminal.

    Args:
        lines: The messages.
    """
    if _muted.get():
        return
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else sys.maxsize
    for line in lines:
        said = f"rnnapps: {line.rstrip('.')}."
        if len(said) > width:
            said = textwrap.fill(said, width, subsequent_indent="  ", break_long_words=False,
                                 break_on_hyphens=False)  # fmt: skip
        print(said, file=sys.stderr)
