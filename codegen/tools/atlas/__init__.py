"""The atlas: a page of static HTML for every op, made from its derivation, its plan and its sources.

derivation  -> sections     frozen data, in which formulas are still LaTeX
formulas    -> HTML         one KaTeX process for all pages
both        -> pages        Jinja templates
"""
