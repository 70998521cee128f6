"""Derivation to source: plan, print, render, format, write, verify."""
