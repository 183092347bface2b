"""Answers for large tables: the same rows in their order, with the answers' columns added."""
