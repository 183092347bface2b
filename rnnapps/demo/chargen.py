"""The tab of a character generator: text as it is written, coloured by surprise."""

import itertools
from collections.abc import Iterator

import gradio as gr

from rnnapps.config import GENERATION
from rnnapps.demo.asking import LONGEST, said
from rnnapps.demo.examples import offer, own_texts
from rnnapps.demo.marks import shaded
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import heading, phrase
from rnnapps.errors import DataError

_FIRST, _BLOCK = 2, 12  # tokens of the first request, which is soon there, and of the others
_WIDTH = 240  # pixels that a slider has at least: on a phone they stand one below the other
_CONTEXT = 400  # characters of what is written that each request reads
_DEEP = 8.0  # bits of a character that is coloured most


def build(shown: Shown, page: gr.Blocks) -> None:
    """Builds the tab.

    Args:
        shown: The model.
        page: What the tab is on.
    """
    prompt = gr.Textbox(label=phrase("prompt"), lines=2)
    with gr.Row():
        length = gr.Slider(
            10, 2000, GENERATION.length, step=10, label=phrase("length"), min_width=_WIDTH
        )
        temperature = gr.Slider(
            0.1,
            2.0,
            GENERATION.temperature,
            step=0.05,
            label=phrase("temperature"),
            min_width=_WIDTH,
        )
    with gr.Row():
        top_k = gr.Slider(0, 100, GENERATION.top_k, step=1, label=phrase("top_k"), min_width=_WIDTH)
        top_p = gr.Slider(
            0.05, 1.0, GENERATION.top_p, step=0.05, label=phrase("top_p"), min_width=_WIDTH
        )
        seed = gr.Number(
            GENERATION.seed, precision=0, minimum=0, label=phrase("seed"), min_width=_WIDTH
        )
    with gr.Row():
        button = gr.Button(phrase("write"), variant="primary")
        stop = gr.Button(phrase("stop"))
    offer(page, lambda: own_texts(shown), [prompt])
    heading("written")
    gr.Markdown(phrase("written_about"))
    text = gr.HTML()
    inputs = [prompt, length, temperature, top_k, top_p, seed]
    run = said(lambda *settings: (yield from write(shown, *settings)))
    event = gr.on([button.click, prompt.submit], run, inputs, text, api_name=False)
    stop.click(None, cancels=[event], api_name=False)


def write(
    shown: Shown,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
) -> Iterator[str]:
    """Writes on, block after block; whoever stops asking stops the work.

    Args:
        shown: The model.
        prompt: What to go on from.
        length: Tokens to write.
        temperature: How freely.
        top_k: Of how many tokens.
        top_p: Of which share of the probability.
        seed: Of the draws.

    Yields:
        All that is written so far, as HTML.

    Raises:
        DataError: If the prompt is too long.
    """
    if len(prompt) > LONGEST:
        raise DataError(
            f"Expected a beginning of at most {LONGEST:,} characters. Received: {len(prompt):,}."
        )
    options = {"temperature": float(temperature), "top_k": int(top_k), "top_p": float(top_p)}
    pieces: list[tuple[str, float, str]] = [(prompt, 0.0, "")]
    context, left, block = prompt, int(length), 0
    while left > 0:
        size = min(left, _BLOCK if block else _FIRST)
        [answer] = shown.client.predict(
            signature="generate", prompt=[context[-_CONTEXT:]], length=size,
            seed=(int(seed or 0) + 7919 * block) % 2**31, **options,
        )  # fmt: skip
        new = answer["text"]
        if isinstance(new, bytes):
            new = new.decode("utf-8", "replace")
        pieces += [
            (character, min(1.0, bits / _DEEP) * -1, f"{bits:.1f} bits")
            for character, bits in zip(new, surprises(shown, context[-_CONTEXT:], new), strict=True)
        ]
        context, left, block = context + new, left - size, block + 1
        yield shaded(pieces)


def surprises(shown: Shown, context: str, text: str) -> list[float]:
    """The bits of each character of a text, given those before it.

    The export says what whole texts cost, so each character is the difference of two of them.

    Args:
        shown: The model.
        context: What stands before the text.
        text: The text.
    """
    if not text:
        return []
    texts = [context + text[:i] for i in range(len(text) + 1)]
    answers = shown.client.predict(texts, signature="score")
    costs = [
        one["bits_per_character"] * len(given) for one, given in zip(answers, texts, strict=True)
    ]
    return [max(0.0, after - before) for before, after in itertools.pairwise(costs)]
