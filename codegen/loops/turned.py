"""Matrices that every step of a loop multiplies with, laid out before the loop so that a product reads them row by row.

In ``dh[n, j] = sum[k](dz[n, k]*U[j, k])``, the columns of the product are the rows of ``U``. A product would lay them out anew
at each step.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.program import Loop, Program, Role, Statement
from derive import syntax as st
from derive.renaming import fresh_name

__all__ = ["with_turned"]


def with_turned(program: Program, statements: list[Statement], taken: set[str]) -> list[Statement]:
    """The statements, where those of a loop read the transposes of such matrices; each stands before its loop."""
    axes = {a.name: a.axes for a in program.arguments if a.labels is None} | {s.name: s.index for s in statements}
    of = {name: loop for loop in program.loops for name in loop.names}
    made: dict[tuple[Loop, str], str] = {}
    first: dict[str, list[Statement]] = {}

    def turned(tree: st.Tree, s: Statement, over: tuple[str, ...] = ()) -> st.Tree:
        match tree:
            case st.Reduce("sum", index, st.Mul() as body):
                return st.Reduce("sum", index, turned(body, s, index))
            case st.Read(name, (str() as column, str() as inner)) if inner in over and column == s.index[-1] and fixed(name, s):
                loop = of[s.name]
                if (loop, name) not in made:
                    made[loop, name] = fresh_name(f"{name}_turned", taken)
                    own = axes[name]
                    copy = Statement(made[loop, name], own[::-1], st.Read(name, own), Role.TEMPORARY)
                    first.setdefault(loop.names[0], []).append(copy)
                return st.Read(made[loop, name], (inner, column))
        return st.rebuild(tree, lambda part: turned(part, s, over if isinstance(tree, st.Mul) else ()))

    def fixed(name: str, s: Statement) -> bool:
        """Whether a matrix is the same at each step."""
        loop = of[s.name]
        return name in axes and name not in (*loop.names, *(c.name for c in loop.carries)) and loop.axis not in axes[name]

    out = [s if s.name not in of or not s.index else replace(s, tree=turned(s.tree, s)) for s in statements]
    return [each for s in out for each in (*first.get(s.name, ()), s)]
