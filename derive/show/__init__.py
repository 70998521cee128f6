"""A derivation as text and as LaTeX."""
