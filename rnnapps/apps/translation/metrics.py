"""The metrics of translations: BLEU and chrF as sacreBLEU computes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sacrebleu

from rnnapps.apps.translation.baseline import IBMModel1
from rnnapps.data import Pairs, Splits
from rnnapps.progress import working

_LENGTHS = (5, 10, 15, 20, 30, 50, 100)  # words, the upper bounds of the groups


def measures(
    splits: Splits[Pairs],
    part: str,
    translations: Sequence[str],
    perplexity: float,
    lowercase: bool,
) -> dict[str, Any]:
    """Measures the translations of a part, and those of a baseline.

    Args:
        splits: The parts; of the training part, if there is one, the baseline learns.
        part: `"validation"`, whose baseline is the text as it is, or `"test"`.
        translations: Those of the part's texts.
        perplexity: Of a token of the right ones.
        lowercase: Whether case counts for nothing.

    Returns:
        What `text_measures` returns, and `perplexity`; `baselines` with the former of each; and of
        the test part `by_length`, and what `best_and_worst` returns.
    """
    pairs = getattr(splits, part)
    found = {**text_measures(pairs, translations, lowercase), "perplexity": perplexity}
    if part == "validation":
        copied = text_measures(pairs, pairs.sources, lowercase)
        return {**found, "baselines": {"the text as it is": copied}}
    found["by_length"] = bleu_by_length(pairs, translations, lowercase)
    found |= {**best_and_worst(pairs, translations, lowercase), "baselines": {}}
    if splits.train is not None:
        with working("training the baseline"):
            naive = IBMModel1(splits.train, lowercase)
            measured = text_measures(pairs, naive(pairs.sources), lowercase)
        found["baselines"]["IBM model 1, word by word"] = measured
    return found


def text_measures(
    pairs: Pairs, translations: Sequence[str], lowercase: bool = True
) -> dict[str, Any]:
    """Compares translations with the right ones.

    Args:
        pairs: Texts with their right translations.
        translations: The translations to measure.
        lowercase: Whether case counts for nothing.

    Returns:
        `bleu` and `chrf`, 0 to 100; `exact_match`, the share that is right to the letter; and the
        `signatures` of the first two, which say how they were computed.

    Reference:
        - [Post, 2018](https://aclanthology.org/W18-6319/)
        - [Popović, 2015](https://aclanthology.org/W15-3049/)
    """
    bleu = sacrebleu.BLEU(lowercase=lowercase)
    chrf = sacrebleu.CHRF(lowercase=lowercase)
    measured = {
        "bleu": bleu.corpus_score(translations, [pairs.targets]).score,
        "chrf": chrf.corpus_score(translations, [pairs.targets]).score,
    }
    fold = str.lower if lowercase else str
    same = [fold(a) == fold(b) for a, b in zip(translations, pairs.targets, strict=True)]
    return {
        **measured,
        "exact_match": sum(same) / len(same),
        "signatures": {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
    }


def bleu_by_length(
    pairs: Pairs, translations: Sequence[str], lowercase: bool = True
) -> list[dict[str, float]]:
    """BLEU of the texts of like length.

    Args:
        pairs: Texts with their right translations.
        translations: The translations to measure.
        lowercase: Whether case counts for nothing.

    Returns:
        For each group of texts `up_to`, their words at most, their `count`, and `bleu`.
    """
    groups: dict[int, list[int]] = {}
    for i, text in enumerate(pairs.sources):
        words = len(text.split())
        groups.setdefault(next((n for n in _LENGTHS if words <= n), words), []).append(i)
    bleu = sacrebleu.BLEU(lowercase=lowercase)
    return [
        {
            "up_to": up_to,
            "count": len(group),
            "bleu": bleu.corpus_score(
                [translations[i] for i in group], [[pairs.targets[i] for i in group]]
            ).score,
        }
        for up_to, group in sorted(groups.items())
    ]


def best_and_worst(
    pairs: Pairs, translations: Sequence[str], lowercase: bool = True, most: int = 5
) -> dict[str, list[dict[str, Any]]]:
    """The translations that are most, and least, like the right ones.

    Args:
        pairs: Texts with their right translations.
        translations: The translations to measure.
        lowercase: Whether case counts for nothing.
        most: How many of each, at most.

    Returns:
        `best` and `worst`: for each translation its `text`, what was `expected` and `answered`, and
        `chrf`, the sentence's own, 0 to 100. Of those as good as each other the longest are first.
    """
    chrf = sacrebleu.CHRF(lowercase=lowercase)
    scores = [
        chrf.sentence_score(mine, [right]).score
        for mine, right in zip(translations, pairs.targets, strict=True)
    ]
    by_length = sorted(range(len(scores)), key=lambda i: -len(pairs.sources[i]))
    best, worst = (sorted(by_length, key=lambda i: sign * scores[i]) for sign in (-1, 1))
    count = min(most, len(scores) // 2)  # none is among both

    def told(i: int) -> dict[str, Any]:
        texts = {"text": pairs.sources[i], "expected": pairs.targets[i]}
        return {**texts, "answered": translations[i], "chrf": scores[i]}

    return {"best": [*map(told, best[:count])], "worst": [*map(told, worst[:count])]}


def middling(texts: Sequence[str], count: int) -> list[str]:
    """The first of those texts that are no shorter than half of all."""
    by_length = np.argsort([len(text) for text in texts], kind="stable")
    return [texts[i] for i in by_length[len(texts) // 2 :][:count]]
