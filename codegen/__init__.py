"""Derivation to source: plan, print, render, format, write, verify. ``codegen.emit.emit`` does it for an op of one's own."""
