"""The names that people use for what an op calls otherwise: ``dout`` for ``dy``, ``x_hat`` for ``xhat``, ``w`` for ``W``.

A name is understood where exactly one name of the op can be meant. Understanding decides nothing about being right: a backward
is run with what its names are taken to be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from derive import syntax as st

__all__ = ["an_upstream", "understood", "understood_gradient", "vocabulary"]

#: Words for the gradient of an op's only output.
UPSTREAM = (
    "dout d_out dy dz do dloss dl grad_output grad_out gradoutput grad_outputs gradout grad_y upstream delta grad doutput"
)
#: Words that stand for one another.
GROUPS = (
    "mu mean m avg mean_x batch_mean sample_mean bnmean bnmeani",
    "var variance sigma2 v batch_var sample_var sigma_sq bnvar",
    "rstd invstd inv_std istd ivar inv_var invvar bnvar_inv std_inv rsigma inv",
    "xhat x_hat xnorm x_norm normalized x_normalized xn norm bnraw",
    "c xc xmu x_mu xcentered x_centered centered diff bndiff x_minus_mean",
    "gamma weight scale g bngain gain",
    "beta bias shift bnbias",
    "x input inputs inp a xb",
    "w weight weights",
    "b bias",
    "z logits scores x input",
    "p probs prob probabilities softmax s y_hat yhat ypred preds a",
    "t targets target labels label y yb ix idx ids tokens indices",
    "y out output outputs h a act",
    "table weight weights w emb embedding c",
    "q query queries",
    "k key keys",
    "v value values",
    "eps epsilon",
)


def understood(name: str, known: Collection[str], op: st.Op) -> str | None:
    """The name of the op that a name stands for; None where it is none of them, or may be several."""
    if name in known:
        return name
    plain = _plain(name)
    for meant in (
        [k for k in known if _plain(k) == plain],
        _upstream(plain, known, op),
        _alike(plain, known),
    ):
        if len(meant) == 1:
            return meant[0]
    return None


def vocabulary(names: Iterable[str], known: Collection[str], op: st.Op, order: Sequence[str] = ()) -> dict[str, str]:
    """What names stand for, no two for the same. Those not understood stand for the rest of ``order``, one after another."""
    names = list(dict.fromkeys(names))
    found = {n: n for n in names if n in known}
    for n in names:
        meant = understood(n, [k for k in known if k not in found.values()], op)
        if n not in found and meant is not None:
            found[n] = meant
    rest = [n for n in order if n not in found.values()]
    return found | dict(zip([n for n in names if n not in found], rest, strict=False))


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def an_upstream(name: str) -> bool:
    """Whether a name is one that people give to the gradient of an output."""
    return _plain(name) in {_plain(w) for w in UPSTREAM.split()}


def _upstream(plain: str, known: Collection[str], op: st.Op) -> list[str]:
    adjoints = [st.adjoint_name(t.name) for t in op.outputs]
    return adjoints if len(adjoints) == 1 and adjoints[0] in known and an_upstream(plain) else []


def _alike(plain: str, known: Collection[str]) -> list[str]:
    groups = [{_plain(w) for w in g.split()} for g in GROUPS]
    return list(dict.fromkeys(k for g in groups if plain in g for k in known if _plain(k) in g))


def understood_gradient(name: str, meant: Mapping[str, str], gradients: Collection[str], op: st.Op) -> str | None:
    """The gradient that a result's name stands for: that of the name behind ``d`` or ``grad``, which may stand for another."""
    if name in gradients:
        return name
    of = {st.primal_name(g): g for g in gradients}
    for prefix in ("grad_", "grad", "d_", "d"):
        rest = name.removeprefix(prefix)
        if rest and rest != name:
            found = meant.get(rest) or understood(rest, of, op)
            return of.get(found or "")
    return None
