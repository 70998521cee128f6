"""The atlas: a page for every op, to be looked at. Static HTML from the derivation, the plan and the sources of an op.

derivation  -> sections     frozen data, in which formulas are still LaTeX
formulas    -> HTML         one KaTeX process for all pages
both        -> pages        Jinja templates
"""
