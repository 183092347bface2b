"""Sentences, and a label for each of their tokens: names, parts of speech, words of Chinese."""
