"""Hyperbolic tangent."""

TEXT = """
y[*s] = tanh(x[*s])

y[*s] = tanh(x[*s])
"""
SOURCE = "LeCun et al., Efficient BackProp (1998)"
