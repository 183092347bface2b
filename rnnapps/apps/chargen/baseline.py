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
_SHORT, _RECENT = 3, 10**6  # order and maximum tokens of the quick n-gram model
_LATEST = 2**25  # maximum characters before the text for compressors


def compressed_bits(train: bytes, test: bytes) -> dict[str, float]:
    """The bits that general-purpose compressors need for a text, given another one.

    Args:
        train: The text before it.
        test: The text.

    Returns:
        Bits, by compressor.
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
    """Evaluates the baselines on a part of the data; only quick ones on the validation set.

    Args:
        splits: The parts; without a training set there are no baselines.
        part: `"validation"` or `"test"`.
        tokenizer: The tokenizer.

    Returns:
        The metrics by baseline; and the bits per character along the text, if available.
    """
    if splits.train is None:
        return {}, {}
    measured = _measure_short_ngrams if part == "validation" else _measure_all
    with working("training the baselines"):
        texts = (splits.train, getattr(splits, part))
        train, test = ((text, encode(tokenizer, text)) for text in texts)
        return measured(train, test, tokenizer.vocabulary_size)


def _measure_short_ngrams(train: Read, test: Read, vocabulary_size: int) -> Measured:
    """Evaluates the quick baseline: a low-order n-gram model of the end of the training text.

    Args:
        train: The training text, and its ids `(tokens,)`.
        test: The text to evaluate, and its ids.
        vocabulary_size: Number of token ids.

    Returns:
        As `measure_baselines`, without curves.
    """
    text, ids = test
    ngrams = KneserNey(_SHORT, vocabulary_size)
    ngrams.adapt(train[1][-_RECENT:])
    return {f"{_SHORT}-gram": language_model(ngrams.nats(ids), text)}, {}


def _measure_all(train: Read, test: Read, vocabulary_size: int) -> Measured:
    """Evaluates the n-gram model and the compressors on a text.

    Args:
        train: The training text, and its ids `(tokens,)`.
        test: The text to evaluate, and its ids.
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
