"""Random systems of equations over the whole language, and a reference that shares no code with what it judges.

text        a random source             -> the text of an op       (``generate`` and what it imports)
read        text                        -> signature, equations as ``ast`` nodes (``language``, ``steps``)
point       signature and a seed        -> sizes, inputs, upstream gradients     (``points``)
evaluate    equations at a point        -> outputs and gradients, one position at a time, on dual numbers (``evaluate``)
check       text, every backend         -> ok, refused, crash, wrong or slow     (``check``)
shrink      a failing text              -> the smallest text that fails so       (``shrink``)

Nothing but ``check`` imports ``derive`` or ``codegen``.
"""
