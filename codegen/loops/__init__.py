"""From a program to loop nests, for any backend that writes loops.

What is decided here follows from axes, reductions and a description of the machine.
"""
