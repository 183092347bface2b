"""Baselines: a smoothed n-gram model, and general-purpose compressors."""

import bz2
import lzma

import numpy as np

from rnnapps.apps.chargen.data import Text, bytes_of, encode
from rnnapps.apps.chargen.metrics import of_bits
from rnnapps.data import Splits
from rnnapps.metrics import bits_along, language_model
from rnnapps.progress import say, working
from rnnapps.text import KneserNey, Tokenizer

ORDER = 6  # of the n-gram model
_SHORT, _RECENT = 3, 10**6  # of the quick one, and the tokens that it counts at most
_LATEST = 2**25  # characters that compressors have seen at most


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


Read = tuple[Text, np.ndarray]  # a text and its ids (tokens,)
Measured = tuple[dict[str, dict], dict[str, list[float]]]


def measure_baselines(splits: Splits[Text], part: str, tokenizer: Tokenizer) -> Measured:
    """Measures baselines on a part: on the validation part what takes a moment.

    Args:
        splits: The parts; where there is none to learn from, there are no baselines.
        part: `"validation"` or `"test"`.
        tokenizer: Texts to ids.

    Returns:
        The measures by the baseline's name; and the bits per character along the text, of those
        that have them.
    """
    if splits.train is None:
        return {}, {}
    measured = _measure_short_ngrams if part == "validation" else _measure_all
    with working("training the baselines"):
        texts = (splits.train, getattr(splits, part))
        train, test = ((text, encode(tokenizer, text)) for text in texts)
        return measured(train, test, tokenizer.vocabulary_size)


def _measure_short_ngrams(train: Read, test: Read, vocabulary_size: int) -> Measured:
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


def _measure_all(train: Read, test: Read, vocabulary_size: int) -> Measured:
    """Measures the n-gram model and the compressors on a text.

    Args:
        train: The training text, and its ids `(tokens,)`.
        test: The text to measure on, and its ids.
        vocabulary_size: Number of token ids.

    Returns:
        As `measure_baselines`.
    """
    (train_text, train_ids), (text, ids) = train, test
    ngrams = KneserNey(ORDER, vocabulary_size)
    ngrams.adapt(train_ids)
    nats, name = ngrams.nats(ids), f"Kneser-Ney {ORDER}-gram"
    if len(train_text) > _LATEST:
        say([f"the compressors have read the last {_LATEST:,} of {len(train_text):,} characters"])
    bits = compressed_bits(*map(bytes_of, (train_text[-_LATEST:], text)))
    found = {name: language_model(nats, text)}
    found |= {compressor: of_bits(total, text) for compressor, total in bits.items()}
    return found, {name: bits_along(nats, text)}
