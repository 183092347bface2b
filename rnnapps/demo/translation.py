"""The tab of a translator: alternatives, how sure each word is, and what was looked at."""

import collections
import functools
import html
import re
from collections.abc import Sequence

import gradio as gr
import numpy as np

from rnnapps.demo.asking import table_section
from rnnapps.demo.marks import heat_map, ranked, shaded
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import in_language
from rnnapps.demo.text_tab import text_tab
from rnnapps.errors import SignatureError

_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def build(shown: Shown, page: gr.Blocks) -> None:
    """Builds the tab.

    Args:
        shown: The model.
        page: What the tab is on.
    """
    parts = [("translation", "translation_about"), ("n_best",), ("alignment",)]
    text_tab(shown, page, "translate", translate, parts)
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
    except SignatureError:  # of a network that does not attend
        return f"<p>{html.escape(in_language('none_found', request))}</p>"
    source = [_text(one) for one in found["source_tokens"]]
    target = [_text(one) for one in found["target_tokens"]]
    rows, columns = sum(map(bool, target)), sum(map(bool, source))
    weights = np.array(found["alignment"], float)[:rows, :columns]
    said = in_language("alignment", request)
    return heat_map(weights, target[:rows], source[:columns], said)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
