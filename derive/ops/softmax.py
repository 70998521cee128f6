"""Softmax over the last axis."""

TEXT = """
p[*s, c] = softmax(z[*s, c])

p[*s, c] = exp(z[*s, c]) / sum[c](exp(z[*s, c]))
"""
SOURCE = "Bridle, Probabilistic interpretation of feedforward classification network outputs (1990)"
