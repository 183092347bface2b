"""What `rnnapps predict` prints of translations: lines for people and pipes, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any


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
