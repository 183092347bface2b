"""How good translations are: BLEU and chrF as sacreBLEU computes them."""

from collections.abc import Sequence
from typing import Any

import sacrebleu

from rnnapps.data import Pairs

_LENGTHS = (5, 10, 15, 20, 30, 50, 100)  # words, the upper bounds of the groups


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
