"""How the page asks: what goes wrong is a sentence on it, and what is too long is turned away."""

import functools
import inspect
import logging
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from rnnapps.apps.bulk.job import answer_files
from rnnapps.apps.bulk.processes import in_this_process
from rnnapps.apps.bulk.question import Question
from rnnapps.demo.marks import alert
from rnnapps.demo.models import Shown, TableModel
from rnnapps.demo.phrases import phrase
from rnnapps.errors import DataError, RnnappsError, in_shell

LONGEST = 20_000  # characters of a text


def checked(text: str) -> str:
    """A text, if it can be answered for while one waits.

    Args:
        text: The text.

    Raises:
        DataError: If it is empty or too long.
    """
    if len(text) > LONGEST:
        raise DataError(
            f"Expected a text of at most {LONGEST:,} characters. Received: {len(text):,}; put long "
            "texts into a table, or use rnnapps predict."
        )
    if not text.strip():
        raise DataError("Expected a text. Received: an empty one.")
    return text


def said(function: Callable, outputs: int = 1) -> Callable:
    """Has a function of the page say its errors as the shell does, in place of its first answer.

    Args:
        function: The function, or generator function, whose first answer is HTML.
        outputs: How many answers it has.
    """

    def told(error: Exception) -> Any:
        if isinstance(error, RnnappsError):
            with in_shell():
                sentence = str(error)
        else:
            logging.getLogger(__name__).exception("the demo failed")
            sentence = "This is a bug of the page: its traceback is in the terminal."
        shown = alert(sentence)
        return shown if outputs == 1 else (shown, *[None] * (outputs - 1))

    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def run(*arguments: Any) -> Any:
            try:
                yield from function(*arguments)
            except Exception as error:
                yield told(error)

        return run

    @functools.wraps(function)
    def answer(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            return told(error)

    return answer


def table_section(shown: Shown, ask: Callable[[Sequence[str]], list[dict[str, Any]]]) -> None:
    """Puts onto the page what answers tables.

    Args:
        shown: The model.
        ask: What answers texts: a row of columns for each.
    """
    with gr.Accordion(phrase("table"), open=False):
        table = gr.File(label=phrase("table_about"), type="filepath")
        button = gr.Button(phrase("answer_table"))
        message, answers = gr.HTML(), gr.DownloadButton(phrase("answers"), visible=False)

        def run(path: str | None) -> tuple[str, Any]:
            return "", downloadable(answer_table(shown, path, ask))

        button.click(said(run, 2), table, [message, answers], api_name=False)


def downloadable(path: str) -> Any:
    """A button that downloads a file.

    Args:
        path: The file.
    """
    return gr.DownloadButton(value=path, visible=True)


def answer_table(
    shown: Shown, path: str | None, ask: Callable[[Sequence[str]], list[dict[str, Any]]]
) -> str:
    """Answers for the rows of a table.

    Args:
        shown: The model.
        path: The table's file.
        ask: What answers texts: a row of columns for each.

    Returns:
        A file with the answers behind the rows.

    Raises:
        DataError: If there is no file, or it cannot be read, or has no column of texts.
    """
    if not path:
        raise DataError("Expected a table. Received: none; choose a file first.")
    source = pathlib.Path(path)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rnnapps-demo-"))
    output = folder / f"answers-{source.name.removesuffix('.gz')}"
    model = TableModel(folder, shown.settings, ask)
    try:
        answer_files(Question(model, [source]), output, False, in_this_process)
    except RnnappsError as error:
        raise DataError(error.args[0].replace(str(source), source.name)) from None
    return str(output)
