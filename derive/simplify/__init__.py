"""Adjoints to closed forms: fold, unfold and keep what is cheaper and rounds no worse."""
