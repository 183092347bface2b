"""A tab that answers a text: a box to write it in, a button, answers, and examples."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from rnnapps.demo.asking import checked, said
from rnnapps.demo.examples import offer, own_texts
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import heading, phrase

Answer = Callable[[Shown, str, gr.Request | None], tuple[str, ...]]


def text_tab(
    shown: Shown,
    page: gr.Blocks,
    button: str,
    answer: Answer,
    parts: Sequence[Sequence[str]],
) -> None:
    """Builds the tab.

    Args:
        shown: The model.
        page: What the tab is on.
        button: The phrase on its button.
        answer: From the model, a text and the browser's request to a piece of HTML for each part.
        parts: For each part of an answer the phrase above it, and one that explains it; either may
            be missing.
    """
    text = gr.Textbox(label=phrase("text"), lines=4)
    asked = gr.Button(phrase(button), variant="primary")
    offer(page, lambda: own_texts(shown), [text])
    outputs = []
    for title, *about in parts:
        if title:
            heading(title)
        for words in about:
            gr.Markdown(phrase(words))
        outputs.append(gr.HTML())
    ask = said(lambda text, request: answer(shown, checked(text), request), len(outputs))

    def run(text: str, request: gr.Request) -> Any:
        return ask(text, request)

    gr.on([asked.click, text.submit], run, text, outputs, api_name=False)
