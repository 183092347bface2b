"""The tab of a translator: alternatives, how sure each word is, and what was looked at."""

import collections
import functools
import html
import re
from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from rnnapps.demo.asking import checked, said, table_section
from rnnapps.demo.marks import heat_map, ranked, shaded
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import heading, in_language, phrase

_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def build(shown: Shown) -> None:
    """Builds the tab.

    Args:
        shown: The model.
    """
    text = gr.Textbox(label=phrase("text"), lines=3)
    button = gr.Button(phrase("translate"), variant="primary")
    heading("translation")
    gr.Markdown(phrase("translation_about"))
    best = gr.HTML()
    heading("n_best")
    others = gr.HTML()
    heading("alignment")
    alignment = gr.HTML()
    answer = said(lambda text, request: translate(shown, checked(text), request), 3)

    def run(text: str, request: gr.Request):
        return answer(text, request)

    gr.on([button.click, text.submit], run, text, [best, others, alignment], api_name=False)
    examples = shown.examples(_own_texts)
    if examples:
        gr.Examples(examples, text, label=phrase("examples"))
    table_section(shown, functools.partial(translations_of, shown))


def translate(shown: Shown, text: str, request: gr.Request | None = None) -> tuple[str, str, str]:
    """A translation with each word's confidence, the alternatives, and the alignment.

    Args:
        shown: The model.
        text: The text.
        request: The browser's request.

    Returns:
        Three pieces of HTML.
    """
    [answer] = shown.client.predict([text], signature="n_best")
    translations = [_text(one) for one in answer["translations"]]
    scores = np.array(answer["scores"], float)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    rows = zip(translations, (f"{share:.1%}" for share in shares), strict=True)
    return shaded(confidences(translations, shares)), ranked(rows), _alignment(shown, text, request)


def confidences(translations: Sequence[str], shares: np.ndarray) -> list[tuple[str, float, str]]:
    """The words of the first translation, each with the share of the alternatives that have it.

    A word that stands there twice counts its second time where an alternative has it twice, too.

    Args:
        translations: The alternatives, the best first.
        shares: Their probabilities, which sum to 1.

    Returns:
        The pieces, as `marks.shaded` takes them.

    Reference:
        [Ueffing and Ney, 2007, Word-Level Confidence Estimation for Machine
        Translation](https://aclanthology.org/J07-1003/)
    """
    counted = [collections.Counter(_WORD.findall(one)) for one in translations]
    pieces, seen = [], collections.Counter()
    for piece in _WORD.findall(translations[0]):
        seen[piece] += 1
        if piece.isspace():
            pieces.append((piece, 0.0, ""))
            continue
        has = [words[piece] >= seen[piece] for words in counted]
        share = float(np.sum(shares[has]))
        pieces.append((piece, share, f"{share:.1%}"))
    return pieces


def translations_of(shown: Shown, texts: Sequence[str]) -> list[dict[str, str]]:
    """The translations of texts, as a column of a table.

    Args:
        shown: The model.
        texts: The texts.
    """
    output = next(iter(shown.client.signature().outputs))
    return [{output: _text(one[output])} for one in shown.client.predict(texts)]


def _alignment(shown: Shown, text: str, request: gr.Request | None) -> str:
    try:
        [found] = shown.client.predict([text], signature="align")
    except Exception as error:
        if "no signature" not in str(error):
            raise
        return f"<p>{html.escape(in_language('none_found', request))}</p>"
    source = [_text(one) for one in found["source_tokens"]]
    target = [_text(one) for one in found["target_tokens"]]
    rows, columns = sum(map(bool, target)), sum(map(bool, source))
    weights = np.array(found["alignment"], float)[:rows, :columns]
    said = in_language("alignment", request)
    return heat_map(weights, target[:rows], source[:columns], said)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _own_texts(config: Any) -> Sequence[str]:
    """Of the validation part, which nothing was learned from."""
    from rnnapps.apps.translation.data import load_splits  # imports TensorFlow

    return load_splits(config).validation.sources
