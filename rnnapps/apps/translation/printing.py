"""What `rnnapps predict` prints of translations: lines for people and pipes, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rnnapps.apps.translation.config import PredictOptions
from rnnapps.errors import DataError
from rnnapps.standard_input import batches_of


def answer(app: Any, options: PredictOptions, as_json: bool) -> None:
    """Prints a translation a line, or what else was asked for.

    Args:
        app: The translator.
        options: What `rnnapps predict` was asked.
        as_json: Whether to print JSON objects.

    Raises:
        DataError: If a line to score holds no translation.
    """
    first = 1
    for texts in batches_of(options.text):
        _answer(app, texts, first, options, as_json)
        first += len(texts)


def _answer(
    app: Any, texts: Sequence[str], first: int, options: PredictOptions, as_json: bool
) -> None:
    if options.score:
        pairs = [text.split("\t") for text in texts]
        for number, pair in enumerate(pairs, first):
            if len(pair) != 2:
                raise DataError(
                    f"Expected with --score a text, a tab, and its translation in line "
                    f"{number}. Received: {len(pair)} columns."
                )
        print_scores(pairs, app.score(*zip(*pairs, strict=True)), as_json)
        return
    _warn_of_cuts(app, texts, first)
    if options.align:
        print_alignments(texts, app.align(texts), as_json)
    elif options.sample:
        drawn = app.sample(texts, options.temperature, options.seed + first - 1)
        print_translations(texts, [{"translation": text} for text in drawn], 1, as_json)
    else:
        search = {name: getattr(options, name) for name in options.row_options}
        answers = app.predict(texts, options.n_best, **search)
        print_translations(texts, answers, options.n_best, as_json, first)


def _warn_of_cuts(app: Any, texts: Sequence[str], first: int) -> None:
    lengths = app.model.source_tokenizer.encode(texts).row_lengths()
    for number, count in enumerate(lengths, first):
        if count > app.config.max_length:
            print(
                f"rnnapps: line {number}: only the first {app.config.max_length} of its "
                f"{int(count):,} tokens are read (--max-length).",
                file=sys.stderr,
            )


def print_translations(
    texts: Sequence[str],
    answers: Sequence[dict[str, Any]],
    n_best: int,
    as_json: bool,
    first: int = 1,
) -> None:
    """Prints a translation a line; of several of a text, its number, the score, the translation.

    Args:
        texts: The texts.
        answers: What the application answered.
        n_best: How many translations of each text were asked for.
        as_json: Whether to print a JSON object for each text.
        first: The first text's number.
    """
    for number, (text, answer) in enumerate(zip(texts, answers, strict=True), first):
        if as_json:
            print(json.dumps({"text": text, **answer}, ensure_ascii=False))
        elif n_best == 1:
            print(answer["translation"])
        else:
            for one in answer["n_best"]:
                print(number, f"{one['score']:.4f}", one["translation"], sep="\t")


def print_scores(pairs: Sequence[Sequence[str]], scores: Sequence[float], as_json: bool) -> None:
    """Prints the log-probability of each given translation, the text and the translation.

    Args:
        pairs: Texts and their translations.
        scores: The log-probabilities.
        as_json: Whether to print a JSON object for each pair.
    """
    for (text, translation), score in zip(pairs, scores, strict=True):
        found = {"text": text, "translation": translation, "log_probability": score}
        plain = f"{score:.4f}\t{text}\t{translation}"
        print(json.dumps(found, ensure_ascii=False) if as_json else plain)


def print_alignments(
    texts: Sequence[str], answers: Sequence[dict[str, Any]], as_json: bool
) -> None:
    """Prints each token of a translation with the token of the text that it attended to most.

    Args:
        texts: The texts.
        answers: What `Translator.align` answered.
        as_json: Whether to print a JSON object for each text, with all weights.
    """
    for text, answer in zip(texts, answers, strict=True):
        if as_json:
            print(json.dumps({"text": text, **answer}, ensure_ascii=False))
            continue
        pairs = zip(answer["target_tokens"], answer["alignment"], strict=True)
        sources = answer["source_tokens"]
        print(" ".join(f"{token}({sources[row.index(max(row))]})" for token, row in pairs))
