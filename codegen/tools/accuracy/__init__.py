"""Accuracy of kernels, measured: errors in ULP of values and gradients against mpmath, beside torch's own op.

Data flows one way: an op gives inputs (a sweep over a format's range, or samples of hard kinds) and their exact values;
implementations run on the inputs; what they miss by is Errors, and everything ends in a Report. It judges nothing.
"""

from codegen.tools.accuracy.implementations import Implementation, emitted, implementations, torch_itself
from codegen.tools.accuracy.report import Report, accuracy, measured

__all__ = ["Implementation", "Report", "accuracy", "emitted", "implementations", "measured", "torch_itself"]
