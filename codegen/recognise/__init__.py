"""Patterns that any backend may compute as one operation: contractions, one-hot rows, scatter-adds."""
