"""Examples of a model's own data, which are read once a page is open, so that it opens soon."""

import functools
import itertools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from rnnapps.apps import application_class
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import phrase
from rnnapps.errors import RnnappsError

_MOST = 5
_LABEL = 60  # characters
_READ = 20 * 2**20  # bytes of a file of data; more would take too long to read


class Example(NamedTuple):
    """What a click fills in.

    Args:
        label: What the example is called.
        values: A value for each input.
    """

    label: str
    values: tuple[Any, ...]


def own_texts(shown: Shown) -> list[Example]:
    """Texts that a model did not learn from.

    Args:
        shown: The model.

    Returns:
        A few: those that its run keeps, or of its data; none where that is not here, or takes long
        to read.
    """

    def read() -> Iterable[str]:
        return shown.examples or application_class(shown.application)(shown.config).examples()

    return [Example(" ".join(text.split())[:_LABEL], (text,)) for text in own(shown, read)]


def own(shown: Shown, read: Callable[[], Iterable[Any]]) -> Iterable[Any]:
    """Examples of the data that a model was trained on.

    Args:
        shown: The model.
        read: What reads them, from what its run keeps or from its data.

    Returns:
        The examples; none where the data is not here, or takes long to read.
    """
    if not shown.examples and not quickly_read(shown):
        return []
    try:
        return read()
    except RnnappsError:  # the data has changed, or gone
        return []


def quickly_read(shown: Shown) -> bool:
    """Whether a model's data is here, and soon read.

    Args:
        shown: The model.
    """
    if shown.config is None:
        return False
    path = pathlib.Path(shown.config.data)
    return str(path) == "sample" or (path.is_file() and path.stat().st_size < _READ)


def offer(
    page: gr.Blocks,
    read: Callable[[], Iterable[Example]],
    inputs: Sequence[gr.components.Component],
) -> None:
    """Puts examples onto the page; nothing is seen of them where there are none.

    Args:
        page: The page.
        read: What gives them.
        inputs: What they fill in.
    """
    shelf = gr.Dataset(
        label=phrase("examples"), components=["textbox"], samples=[], type="index", visible=False
    )
    found = functools.cache(lambda: list(itertools.islice(read(), _MOST)))

    def show() -> gr.Dataset:
        return gr.Dataset(samples=[[one.label] for one in found()], visible=bool(found()))

    def fill(which: int) -> Any:
        values = found()[which].values
        return values if len(values) > 1 else values[0]

    page.load(show, None, shelf, api_name=False, show_progress="hidden")
    shelf.click(fill, shelf, list(inputs), api_name=False, queue=False, show_progress="hidden")
