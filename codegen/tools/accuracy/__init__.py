"""Accuracy of kernels, measured: errors in ULP of values and gradients against mpmath, beside torch's own op.

Data flows one way. An op gives inputs (a sweep over a format's range, or samples of hard kinds) and their exact values.
Implementations run on the inputs. Their differences from the exact values are Errors, which end in a Report. A Report holds
figures, and no verdict.
"""

from codegen.tools.accuracy.implementations import Implementation, emitted, implementations, torch_itself
from codegen.tools.accuracy.report import Report, accuracy, measured

__all__ = ["Implementation", "Report", "accuracy", "emitted", "implementations", "measured", "torch_itself"]
