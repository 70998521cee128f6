"""What `make derive` wrote: kernels that need their own backend and nothing else, derivations in LaTeX, certificates."""
