"""Equations with exponentials that overflow, rewritten so that none does."""
