"""The rewriting of equations by log-sum-exp, so that no exponential overflows."""
