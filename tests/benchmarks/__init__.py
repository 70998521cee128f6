"""Times the generated kernels beside torch, JAX and the fewest bytes: ``python -m tests.benchmarks``, or ``make bench``.

Timings are shown side by side, never asserted. What runs after what:

    __main__.py    starts a pinned process for each regime of allocation, puts what they found together, prints it
    child.py       such a process
    findings.py    what it hands back
    regimes.py     the two regimes: output pages kept from call to call, or fresh at each
    machine.py     what it all ran on
    cases.py       what is timed: op, direction, shape
    problem.py     the inputs of a case, and what torch makes of them
    sides.py       the functions that are timed against each other, ours and others'
    direct.py      torch's own ops for a gradient, called without autograd
    jaxed.py       the same ops in JAX, where it is installed
    floor.py       the fewest bytes at the machine's streaming bandwidth
    timing.py      the interleaved measurement
    once.py        what is timed once: compilation, a call, derivations
    chains.py      how long systems of many equations take to emit, by itself: python -m tests.benchmarks.chains
    bars.py        what the kernels are meant to reach
    table.py       text and Markdown
    plot.py        the same as a picture
"""
