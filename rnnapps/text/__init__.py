"""Strings to ids and back, inside the graph."""

from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.subword import SubwordTokenizer
from rnnapps.text.tokenizer import PADDING, UNKNOWN, Tokenizer
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
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
]
