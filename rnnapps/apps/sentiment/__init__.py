"""Texts to classes: film reviews, product reviews, messages."""
