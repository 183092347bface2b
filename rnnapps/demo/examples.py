"""Examples of a model's own data, which are read once a page is open, so that it opens soon."""

import functools
import itertools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from rnnapps.apps import application_class
from rnnapps.config import TrainingConfig
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
    texts = shown.examples or own(shown, functools.partial(_read, shown.application))
    return [Example(" ".join(text.split())[:_LABEL], (text,)) for text in texts]


def own(shown: Shown, read: Callable[[TrainingConfig], Iterable[Any]]) -> Iterable[Any]:
    """Examples of the data that a model was trained on.

    Args:
        shown: The model.
        read: What makes them, of the configuration.

    Returns:
        The examples; none where the data is not here, or takes long to read.
    """
    config = shown.config
    if config is None or not _quickly_read(config):
        return []
    try:
        return read(config)
    except RnnappsError:  # the data has changed, or gone
        return []


def _read(application: str, config: TrainingConfig) -> list[str]:
    return application_class(application)(config).examples()


def _quickly_read(config: TrainingConfig) -> bool:
    """Whether a model's data is here, and soon read."""
    path = pathlib.Path(config.data)
    return config.data == "sample" or (path.is_file() and path.stat().st_size < _READ)


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
