"""Strings to ids and back, inside the graph."""

from rnnapps.text.auto import TOKENIZERS, kind_of, make_tokenizer
from rnnapps.text.bytes import ByteTokenizer, as_utf8, whole_characters
from rnnapps.text.character import CharacterTokenizer
from rnnapps.text.from_vectors import at_width_of_vectors, start_from_vectors
from rnnapps.text.kneser_ney import KneserNey
from rnnapps.text.limits import limited
from rnnapps.text.ngrams import NGramClassifier, naive_bayes_ratios, one_in
from rnnapps.text.offsets import OffsetTokenizer, kind_of_tokens, tokenize_texts
from rnnapps.text.shorten import Shorten, shorten
from rnnapps.text.subword import SubwordTokenizer
from rnnapps.text.token_encoder import AFFIXES, TokenEncoder
from rnnapps.text.tokenizer import PADDING, UNKNOWN, Tokenizer, few_lengths, to_dense, utf8
from rnnapps.text.unknown import warn_of_unknown
from rnnapps.text.vectors import Vectors, read_vectors, vectors_width
from rnnapps.text.word import WordTokenizer

__all__ = [
    "AFFIXES",
    "PADDING",
    "TOKENIZERS",
    "UNKNOWN",
    "ByteTokenizer",
    "CharacterTokenizer",
    "KneserNey",
    "NGramClassifier",
    "OffsetTokenizer",
    "Shorten",
    "SubwordTokenizer",
    "TokenEncoder",
    "Tokenizer",
    "Vectors",
    "WordTokenizer",
    "as_utf8",
    "at_width_of_vectors",
    "few_lengths",
    "kind_of",
    "kind_of_tokens",
    "limited",
    "make_tokenizer",
    "naive_bayes_ratios",
    "one_in",
    "read_vectors",
    "shorten",
    "start_from_vectors",
    "to_dense",
    "tokenize_texts",
    "utf8",
    "vectors_width",
    "warn_of_unknown",
    "whole_characters",
]
