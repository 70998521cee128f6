"""Conditioning: how much rounding changes the value of a formula at strained points, measured in a kernel's arithmetic."""

from derive.strain.judge import Judge

__all__ = ["Judge"]
