"""The tab of a tagger: a text with its spans framed."""

import gradio as gr

from rnnapps.demo.marks import ranked, spans
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import in_language
from rnnapps.demo.text_tab import text_tab
from rnnapps.spans import tokens_answered


def build(shown: Shown, page: gr.Blocks) -> None:
    """Builds the tab.

    Args:
        shown: The model.
        page: What the tab is on.
    """
    text_tab(shown, page, "tag", tag, [("spans",), ("",)])


def tag(shown: Shown, text: str, request: gr.Request | None = None) -> tuple[str, str]:
    """A text with its spans, or, where the tags are of single tokens, with each token's.

    Args:
        shown: The model.
        text: The text.
        request: The browser's request.

    Returns:
        Two pieces of HTML: the text, and the list of what was found.
    """
    answer = tokens_answered(shown.client.predict([text])[0])
    found = answer.get("spans")
    if found is None:
        columns = (answer[name] for name in ("starts", "ends", "tags", "probabilities"))
        names = ("start", "end", "label", "probability")
        found = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    rows = [
        (f"{text[one['start'] : one['end']]}: {one['label']}", f"{one['probability']:.1%}")
        for one in found
    ]
    listed = ranked(rows) if rows else f"<p>{in_language('none_found', request)}</p>"
    return spans(text, found), listed
