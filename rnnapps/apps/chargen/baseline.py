"""What a person would try first: a smoothed n-gram model, and general compressors."""

import bz2
import lzma

import numpy as np

from rnnapps.apps.chargen.data import to_bytes
from rnnapps.apps.chargen.metrics import of_bits
from rnnapps.metrics import bits_along, language_model
from rnnapps.progress import tracked

ORDER = 6  # of the n-gram model
_SHORT, _RECENT = 3, 10**6  # of the quick one, and the tokens that it counts at most


class KneserNey:
    """An interpolated n-gram model with modified Kneser-Ney smoothing.

        p_k(w | h) = max(c(h w) - D(c(h w)), 0) / c(h *) + gamma(h) p_{k-1}(w | h without its first)

    where the longest n-grams have their counts as `c`, and shorter ones the number of different
    tokens that stand before them. `p_0` is the same for all tokens; after an `h` that was never
    seen, `p_k = p_{k-1}`.

    Args:
        order: The longest n-gram.
        vocabulary_size: Number of token ids, of which 0 stands for no token.

    Reference:
        - [Chen and Goodman, 1999](https://doi.org/10.1006/csla.1999.0128)
    """

    def __init__(self, order: int, vocabulary_size: int):
        self.order, self.vocabulary_size = order, vocabulary_size

    def adapt(self, ids: np.ndarray) -> None:
        """Counts the n-grams of a text.

        Args:
            ids: Ids `(tokens,)`, from 1.
        """
        # An n-gram's key is made of the index of its first n - 1 tokens, and of its last token.
        self._keys: list[np.ndarray] = []
        counts, index = [], np.zeros(len(ids), np.int64)  # of the n-gram that ends at each token
        seen_before = []
        for k in tracked(range(min(self.order, len(ids))), "orders"):
            keys = self._extend(index[k - 1 : -1] if k else index, ids[k:])
            distinct, first, places, count = np.unique(
                keys, return_index=True, return_inverse=True, return_counts=True
            )
            self._keys.append(distinct)
            counts.append(count)
            if k:  # each different n-gram is one more way to precede what follows its first token
                seen_before.append(np.bincount(index[k:][first], minlength=len(counts[k - 1])))
            index = np.full(len(ids), -1)
            index[k:] = places
        counts[:-1] = [np.maximum(1, before) for before in seen_before]  # the text's beginning: 1
        self._shares = [
            self._smooth(keys, count) for keys, count in zip(self._keys, counts, strict=True)
        ]

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """What each token of a text costs, -log p, given those before it: `(tokens,)`.

        Args:
            ids: Ids `(tokens,)`, from 1.
        """
        probability = np.full(len(ids), 1 / (self.vocabulary_size - 1))
        context = np.zeros(len(ids), np.int64)  # the index of what stands before each token
        for keys, (share, rest) in zip(self._keys, self._shares, strict=True):
            known = context >= 0
            wanted = self._extend(np.maximum(context, 0), ids)
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found = known & (keys[place] == wanted)
            # A context that ends the text and stands nowhere else is followed by nothing.
            left = np.where(known, rest[np.maximum(context, 0)], 1.0)
            probability = np.where(found, share[place], 0.0) + left * probability
            context = np.concatenate([[-1], np.where(found, place, -1)[:-1]])
        return -np.log(probability)

    def _extend(self, prefix: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return prefix * self.vocabulary_size + ids

    def _smooth(self, keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each n-gram's discounted share of its context, and what is left of each context."""
        context = keys // self.vocabulary_size
        ones, twos, threes, fours = (max(1, int(np.sum(counts == c))) for c in (1, 2, 3, 4))
        ratio = ones / (ones + 2 * twos)
        discounts = np.clip(
            [0, 1 - 2 * ratio * twos / ones, 2 - 3 * ratio * threes / twos,
             3 - 4 * ratio * fours / threes],
            [0, 0.1, 0.1, 0.1], [0, 1, 2, 3],  # something is left for what was never seen
        )  # fmt: skip
        taken = discounts[np.minimum(counts, 3)]
        contexts = int(context.max()) + 2  # one more, for contexts that nothing follows
        total = np.bincount(context, counts, minlength=contexts)
        lost = np.bincount(context, taken, minlength=contexts)
        rest = np.where(total > 0, lost / np.maximum(total, 1), 1.0)
        return (counts - taken) / total[context], rest


def compressed_bits(train: bytes, test: bytes) -> dict[str, float]:
    """The bits that general compressors need for a text behind another one.

    Args:
        train: The text that is given.
        test: The text behind it.

    Returns:
        Bits, by the compressor's name.
    """

    def packed(data: bytes) -> bytes:
        return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)

    return {
        "lzma": 8.0 * (len(packed(train + test)) - len(packed(train))),
        "bz2": 8.0 * (len(bz2.compress(train + test)) - len(bz2.compress(train))),
    }


Text = tuple[str, np.ndarray]  # and its ids (tokens,)
Measured = tuple[dict[str, dict], dict[str, list[float]]]


def measure_short_ngrams(train: Text, test: Text, vocabulary_size: int) -> Measured:
    """Measures what takes a moment: an n-gram model of little context, on the end of a text.

    Args:
        train: The training text, and its ids `(tokens,)`.
        test: The text to measure on, and its ids.
        vocabulary_size: Number of token ids.

    Returns:
        As `measure_baselines`, without curves.
    """
    text, ids = test
    ngrams = KneserNey(_SHORT, vocabulary_size)
    ngrams.adapt(train[1][-_RECENT:])
    return {f"{_SHORT}-gram": language_model(ngrams.nats(ids), text)}, {}


def measure_baselines(train: Text, test: Text, vocabulary_size: int) -> Measured:
    """Measures the n-gram model and the compressors on a text.

    Args:
        train: The training text, and its ids `(tokens,)`.
        test: The text to measure on, and its ids.
        vocabulary_size: Number of token ids.

    Returns:
        The measures by the baseline's name; and the bits per character along the text, of those
        that have them.
    """
    (train_text, train_ids), (text, ids) = train, test
    ngrams = KneserNey(ORDER, vocabulary_size)
    ngrams.adapt(train_ids)
    nats, name = ngrams.nats(ids), f"Kneser-Ney {ORDER}-gram"
    bits = compressed_bits(to_bytes(train_text), to_bytes(text))
    found = {name: language_model(nats, text)}
    found |= {compressor: of_bits(total, text) for compressor, total in bits.items()}
    return found, {name: bits_along(nats, text)}
