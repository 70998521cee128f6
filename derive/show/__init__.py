"""Derivations as text for terminals and as LaTeX."""
