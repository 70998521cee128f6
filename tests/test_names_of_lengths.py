"""A name that the engine makes is the length of no axis, also where a called op has brought the axis."""

from __future__ import annotations

import derive
from codegen.plan import plan
from derive import syntax as st

#: ``attention`` divides by the root of ``size(f)``, and the shift of the exponentials of ``q`` would be called ``f``.
TEXT = """\
div[out_, l], p[l] = linux(w[out_, l], z[h, out_], score[out_, l], output[h, l])
w > 0
output[h, l] in out_
v[h, l] = sum[out_](score[out_, l])
EOF[h, l] = atan(log(maximum(v[h, l], 1/4)))
x[out_] = (sqrt((1 + (size(out_))**2))) - (sqrt((1 + (size(out_))**2)))**3/6
q[h, out_] = log(sum[l](exp(EOF[h, l])))
r[h, l] = attention(EOF[h, l], EOF[h, l], EOF[h, l])
div[out_, l] = score[out_, l] - mean[l](score[out_, l])
gain[out_, l] = score[out_, l]
p[l] = log(sum[h](exp(r[h, l])))
"""


def test_a_length_of_a_called_op_keeps_its_name() -> None:
    kernel = plan(derive.derive(derive.parse(TEXT)))
    statements = [s for program in (kernel.forward, kernel.backward) for s in program.statements]
    lengths = {n.axis for s in statements for n in st.walk(s.tree) if isinstance(n, st.Size)}
    assert "f" in lengths and not lengths & {s.name for s in statements}
