"""Predictions for large tables: the same rows in order, with further columns."""
