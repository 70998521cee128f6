"""What the words and signs of a derivation mean, each with an example that the engine works out when it is asked.

``entries.py`` has what is said, ``examples.py`` finds the lines of an example that show it.
"""

from derive.explain.entries import ENTRIES, Entry, entry, entry_for
from derive.explain.examples import Example, example_of, explained, listed

__all__ = ["ENTRIES", "Entry", "Example", "entry", "entry_for", "example_of", "explained", "listed"]
