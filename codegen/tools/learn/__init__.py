"""Guided backpropagation by hand: a session that asks for one gradient at a time, checks it, and gives hints."""

from codegen.tools.learn.hints import HINTS, Hint, hint
from codegen.tools.learn.rounds import rounds
from codegen.tools.learn.session import Session

__all__ = ["HINTS", "Hint", "Session", "hint", "rounds"]
