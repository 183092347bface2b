"""Baseline: IBM model 1, word by word."""

import re
from collections.abc import Sequence

import numpy as np

from rnnapps.data import Pairs
from rnnapps.progress import tracked

_LONGEST = 100  # words of a text to learn from: links go with the square
_WORD = re.compile(r"\w+|[^\w\s]")


class IBMModel1:
    """A dictionary of words, learned from pairs of texts by expectation maximization.

    Args:
        pairs: The pairs to learn from.
        lowercase: Whether to lower the case of all words.
        iterations: Passes over the pairs.
        max_pairs: Pairs to learn from, at most.

    Call arguments:
        texts: Texts to translate.

    Output:
        For each the likeliest translations of its words, in its own order.

    Reference:
        - [Brown et al., 1993](https://aclanthology.org/J93-2003/)
    """

    def __init__(
        self, pairs: Pairs, lowercase: bool = True, iterations: int = 5, max_pairs: int = 30_000
    ):
        self.lowercase = lowercase
        pairs = pairs.take(range(min(max_pairs, len(pairs))))
        sources = [self._words(text) for text in pairs.sources]
        targets = [self._words(text) for text in pairs.targets]
        source_ids, target_ids = _number(sources), _number(targets)

        # Every link between a word and one of its pair's translation: (links,) each. The links of
        # a translated word share a slot.
        source, target, slot, slots = [], [], [], 0
        for words, translated in zip(sources, targets, strict=True):
            one = [source_ids[word] for word in words[:_LONGEST]]
            other = [target_ids[word] for word in translated[:_LONGEST]]
            source.append(np.tile(one, len(other)))
            target.append(np.repeat(other, len(one)))
            slot.append(slots + np.repeat(np.arange(len(other)), len(one)))
            slots += len(other)
        source, target, slot = (
            np.concatenate([[], *parts]).astype(np.int64) for parts in (source, target, slot)
        )
        entries, entry = np.unique(source * len(target_ids) + target, return_inverse=True)
        entry_source = entries // max(1, len(target_ids))
        probability = np.ones(len(entries))  # of a translation, given the word
        for _ in tracked(range(iterations), "passes"):
            weights = probability[entry]
            weights /= np.bincount(slot, weights)[slot]  # each translated word is shared out
            counts = np.bincount(entry, weights, len(entries))
            probability = counts / np.bincount(entry_source, counts)[entry_source]

        words = list(target_ids)
        order = np.argsort(probability, kind="stable")  # the likeliest is written last
        best = dict(zip(entry_source[order], entries[order] % max(1, len(words)), strict=True))
        self.best = {word: words[best[i]] for word, i in source_ids.items() if i in best}

    def __call__(self, texts: Sequence[str]) -> list[str]:
        return [" ".join(self.best.get(w, w) for w in self._words(text)) for text in texts]

    def _words(self, text: str) -> list[str]:
        return _WORD.findall(text.lower() if self.lowercase else text)


def _number(texts: Sequence[Sequence[str]]) -> dict[str, int]:
    """The distinct words, numbered."""
    return {word: i for i, word in enumerate(dict.fromkeys(w for text in texts for w in text))}
