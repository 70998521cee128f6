"""Spell the expressions and statements of one backend."""
