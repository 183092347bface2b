"""Strings to ids and back, inside the graph."""

from rnnapps.text.auto import TOKENIZERS, make_tokenizer
from rnnapps.text.bytes import ByteTokenizer, as_utf8, whole_characters
from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.limits import limited
from rnnapps.text.ngrams import NGramClassifier, naive_bayes_ratios
from rnnapps.text.shorten import Shorten, shorten
from rnnapps.text.subword import SubwordTokenizer
from rnnapps.text.tokenizer import PADDING, UNKNOWN, Tokenizer, few_lengths, to_dense, utf8
from rnnapps.text.unknown import warn_of_unknown
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
    "as_utf8",
    "few_lengths",
    "limited",
    "make_tokenizer",
    "naive_bayes_ratios",
    "shorten",
    "to_dense",
    "utf8",
    "warn_of_unknown",
    "whole_characters",
]
