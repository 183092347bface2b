"""Answers as HTML: bars, shaded words, spans, tables. All that is shown is escaped."""

import html
from collections.abc import Iterable, Sequence

import numpy as np

CSS = """
.gradio-container { max-width: 62rem !important; width: 100% !important; margin: auto !important; }
.rn-text { font-size: 1.05rem; line-height: 2; white-space: pre-wrap; overflow-wrap: anywhere; }
.rn-text span { border-radius: .2em; padding: .1em 0; color: inherit; }
.rn-span { border: 1px solid currentColor; padding: .1em .3em !important; }
.rn-span b { font-size: .75em; margin-left: .4em; }
.rn-table tr, .rn-heat tr, .rn-table tbody, .rn-heat thead { border: 0 !important; }
.rn-table { border-collapse: collapse; width: 100%; border: 0 !important; }
.rn-table th, .rn-table td { text-align: left; padding: .25rem .6rem; color: inherit;
  font-weight: inherit; border: 0; border-bottom: 1px solid rgb(128 128 128 / .3); }
.rn-table td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.rn-bar { height: .9rem; background: #0072b2; border-radius: 3px; min-width: 2px; }
.rn-error { border-left: .3rem solid #d55e00; padding: .4rem .8rem; }
button[role=tab][aria-selected=true] { color: #0b57a4 !important; }
.dark button[role=tab][aria-selected=true] { color: #8ab8f0 !important; }
.min_value, .max_value, .or { color: var(--body-text-color) !important; }
.rn-scroll { overflow-x: auto; }
.rn-drawing { width: 100%; min-width: 36rem; height: auto; }
.rn-scroll:has(> .rn-drawing) { direction: rtl; }  /* where it is narrow, its end is seen first */
.rn-heat td { min-width: 1.6rem; height: 1.6rem; padding: 0;
  border: 1px solid rgb(128 128 128 / .3); }
.rn-heat th { padding: .1rem .4rem; white-space: nowrap; color: inherit; font-weight: inherit;
  border: 0; }
.rn-heat { border-collapse: collapse; border: 0 !important; }
"""
_FOR, _AGAINST = "0 114 178", "213 94 0"  # Okabe and Ito's blue and vermilion
_DEEPEST = 0.45  # opacity up to which text on a colour can be read, dark or light


def alert(sentence: str) -> str:
    """What went wrong.

    Args:
        sentence: It in one sentence.
    """
    return f'<p class="rn-error" role="alert">{html.escape(sentence)}</p>'


def bars(shares: Iterable[tuple[str, float]]) -> str:
    """Probabilities as bars.

    Args:
        shares: Names and probabilities.
    """
    rows = [
        f'<tr><th scope="row">{html.escape(name)}</th><td style="width:60%"><div class="rn-bar" '
        f'style="width:{100 * share:.1f}%"></div></td><td class="number">{share:.1%}</td></tr>'
        for name, share in shares
    ]
    return f'<table class="rn-table"><tbody>{"".join(rows)}</tbody></table>'


def shaded(pieces: Iterable[tuple[str, float, str]]) -> str:
    """A text whose pieces are shaded.

    Args:
        pieces: Texts; how deep each is shaded, from -1 (orange) over 0 (not at all) to 1 (blue);
            and what is said where one points at it.
    """
    return f'<div class="rn-text">{"".join(_piece(*piece) for piece in pieces)}</div>'


def _piece(text: str, depth: float, said: str) -> str:
    if not said:
        return html.escape(text)
    colour, opacity = _FOR if depth > 0 else _AGAINST, _DEEPEST * min(1.0, abs(depth))
    style = f"background:rgb({colour} / {opacity:.2f})"
    return f'<span style="{style}" title="{html.escape(said)}">{html.escape(text)}</span>'


def spans(text: str, found: Sequence[dict]) -> str:
    """A text with its spans framed.

    Args:
        text: The text.
        found: `start`, `end`, `label` and `probability` of each, in their order.
    """
    kinds = sorted({one["label"] for one in found})
    hues = {kind: 360 * i // max(1, len(kinds)) for i, kind in enumerate(kinds)}
    pieces, at = [], 0
    for one in found:
        pieces.append(html.escape(text[at : one["start"]]))
        at = one["end"]
        style = f"background:hsl({hues[one['label']]} 80% 50% / .2)"
        pieces.append(
            f'<span class="rn-span" style="{style}" title="{one["probability"]:.1%}">'
            f"{html.escape(text[one['start'] : at])}<b>{html.escape(one['label'])}</b></span>"
        )
    return f'<div class="rn-text">{"".join(pieces)}{html.escape(text[at:])}</div>'


def ranked(rows: Iterable[tuple[str, str]]) -> str:
    """Texts with a number behind each.

    Args:
        rows: The texts and the numbers.
    """
    cells = [
        f'<tr><td>{html.escape(text)}</td><td class="number">{html.escape(number)}</td></tr>'
        for text, number in rows
    ]
    return f'<table class="rn-table"><tbody>{"".join(cells)}</tbody></table>'


def heat_map(weights: np.ndarray, rows: Sequence[str], columns: Sequence[str], said: str) -> str:
    """Weights as a table of shades.

    Args:
        weights: `(rows, columns)`, from 0 to 1.
        rows: The rows' names.
        columns: The columns' names.
        said: What the table is, for those who do not see it.
    """
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    lines = []
    for name, line in zip(rows, weights, strict=True):
        cells = "".join(
            f'<td style="background:rgb({_FOR} / {min(1.0, float(weight)):.2f})" '
            f'title="{html.escape(name)} ← {html.escape(column)}: {weight:.2f}"></td>'
            for column, weight in zip(columns, line, strict=True)
        )
        lines.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="rn-scroll" tabindex="0" role="region" aria-label="{html.escape(said)}">'
        f'<table class="rn-heat"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def drawing(svg: str, name: str, said: str) -> str:
    """A drawing whose lines and letters have the colour of the page's text, dark or light.

    Args:
        svg: What matplotlib wrote: black on white.
        name: What it is called.
        said: What it shows, for those who do not see it.
    """
    svg = svg[svg.index("<svg") :].replace("fill: #ffffff", "fill: none")
    svg = svg.replace("#000000", "currentColor")
    attributes = (
        f'class="rn-drawing" fill="currentColor" role="img" aria-label="{html.escape(said)}"'
    )
    return (
        f'<div class="rn-scroll" tabindex="0" role="region" aria-label="{html.escape(name)}">'
        f"{svg.replace('<svg', f'<svg {attributes}', 1)}</div>"
    )
