"""From a program to loop nests, decided from axes, reductions and a description of the machine, for any backend of loops."""
