"""Strings to ids and back, inside the graph."""

from rnnapps.text.bytes import ByteTokenizer
from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.choosing import TOKENIZERS, make_tokenizer
from rnnapps.text.ngrams import NGramClassifier
from rnnapps.text.shorten import Shorten, shorten
from rnnapps.text.subword import SubwordTokenizer
from rnnapps.text.tokenizer import PADDING, UNKNOWN, Tokenizer, few_lengths, to_dense, utf8
from rnnapps.text.word import WordTokenizer

__all__ = [
    "PADDING",
    "TOKENIZERS",
    "UNKNOWN",
    "ByteTokenizer",
    "CharacterTokenizer",
    "NGramClassifier",
    "Shorten",
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "few_lengths",
    "make_tokenizer",
    "shorten",
    "to_dense",
    "utf8",
]
