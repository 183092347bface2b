"""The output of `rnnapps predict` for a character generator: streamed texts, and scores."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from rnnapps.apps.chargen.config import PredictOptions
from rnnapps.apps.chargen.data import read_file, to_bytes
from rnnapps.files import check_there
from rnnapps.progress import working
from rnnapps.standard_input import texts_of


def answer(app: Any, options: PredictOptions, as_json: bool) -> None:
    """Streams generated texts, or prints the bits per character of a file's lines.

    Args:
        app: The character generator.
        options: The options of `rnnapps predict`.
        as_json: Whether to print JSON objects.
    """
    settings = dataclasses.asdict(options)
    prompts, file = settings.pop("text"), settings.pop("score")
    if file is None:
        print_texts(app, list(prompts) or texts_of(()), settings, as_json)
    else:
        with working("scoring the text"):
            check_there(file, "score")
            lines = app.score(read_file(file, app.config, "replace"))
        print_scores(lines, as_json)


def print_texts(app: Any, prompts: Sequence[str], settings: dict[str, Any], as_json: bool) -> None:
    """Prints each prompt and its continuation; streams that of a single prompt.

    Args:
        app: The character generator.
        prompts: The prompts.
        settings: The arguments of `CharGenerator.stream`.
        as_json: Whether to print one JSON object per line, with `prompt` and `text`.
    """
    shown = [to_bytes(prompt).decode("utf-8", "replace") for prompt in prompts]
    if as_json:
        for prompt, text in zip(shown, app.predict(prompts, **settings), strict=True):
            print(json.dumps({"prompt": prompt, "text": text}, ensure_ascii=False))
    elif len(prompts) == 1:
        stream = app.stream(prompts, **settings)
        piece = next(stream)[0]  # validates the options before anything is printed
        print(shown[0], end="")
        while piece is not None:
            print(piece, end="", flush=True)
            piece = next(stream, [None])[0]
        print()
    elif prompts:
        texts = app.predict(prompts, **settings)
        print("\n\n".join(map("".join, zip(shown, texts, strict=True))))


def print_scores(lines: Iterable[tuple[str, float]], as_json: bool) -> None:
    """Prints the bits per character of each line.

    Args:
        lines: The lines with their line ends, and their bits per character.
        as_json: Whether to print one JSON object per line, with `bits_per_character` and `text`.
    """
    for line, bits in lines:
        text = to_bytes(line).decode("utf-8", "replace").rstrip("\r\n")
        if as_json:
            row = {"bits_per_character": bits, "text": text}
            print(json.dumps(row, ensure_ascii=False))
        else:
            print(f"{bits:.3f}", text, sep="\t")
