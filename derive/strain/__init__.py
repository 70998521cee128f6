"""Conditioning: what rounding does to a formula where the numbers are hard, measured in the arithmetic of a kernel."""

from derive.strain.judge import Judge

__all__ = ["Judge"]
