"""Texts to texts: sentences to another language, dates to another notation."""
