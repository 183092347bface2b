"""Strings to ids and back, inside the graph."""

from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.ngrams import NGramClassifier
from rnnapps.text.shorten import Shorten, shorten
from rnnapps.text.subword import SubwordTokenizer
from rnnapps.text.tokenizer import PADDING, UNKNOWN, Tokenizer, to_dense
from rnnapps.text.word import WordTokenizer

TOKENIZERS = {
    "word": WordTokenizer,
    "character": CharacterTokenizer,
    "subword": SubwordTokenizer,
}

__all__ = [
    "PADDING",
    "TOKENIZERS",
    "UNKNOWN",
    "CharacterTokenizer",
    "NGramClassifier",
    "Shorten",
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "shorten",
    "to_dense",
]
