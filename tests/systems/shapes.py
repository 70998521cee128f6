"""Forms that people write: normalizations, softmaxes, attention, losses, gates, written out by hand or as one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.systems.calls import calls
from tests.systems.vocabulary import chance, pick

if TYPE_CHECKING:
    from tests.systems.generate import Known, Writer


def shape(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    """A right side with these axes in one of the forms; None where none fits."""
    forms = (
        _softmax,
        _centred,
        _normalized,
        _gate,
        _logsumexp,
        _linear,
        _distance,
        _likelihood,
        _moving,
        _repeated,
        _pooled,
        _sliding,
        _op,
    )
    return forms[writer.rng.randrange(len(forms))](writer, axes, depth)


def _spell(writer: Writer, name: str, axes: tuple[str, ...]) -> str:
    return f"{name}[{', '.join(writer.starred(a) for a in axes)}]" if axes else name


def _whole(writer: Writer, axes: tuple[str, ...]) -> Known | None:
    fitting = [t for t in writer.tensors if t.axes and set(t.axes) <= set(axes)]
    return fitting[writer.rng.randrange(len(fitting))] if fitting else None


def _softmax(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    t = _whole(writer, axes)
    if t is None:
        return None
    axis = pick(writer.rng, t.axes)
    z = _spell(writer, t.name, t.axes)
    return f"exp({z})/sum[{writer.starred(axis)}](exp({z}))"


def _centred(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    t = _whole(writer, axes)
    if t is None:
        return None
    axis = pick(writer.rng, t.axes)
    z = _spell(writer, t.name, t.axes)
    return f"{z} - mean[{writer.starred(axis)}]({z})"


def _normalized(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    t = _whole(writer, axes)
    if t is None:
        return None
    axis = writer.starred(pick(writer.rng, t.axes))
    z = _spell(writer, t.name, t.axes)
    return f"{z}/sqrt({pick(writer.rng, ('sum', 'mean'))}[{axis}]({z}**2) + 1e-3)"


def _gate(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    a, b = writer.read(axes), writer.read(axes)
    kind = writer.rng.randrange(4)
    if kind == 0:
        return f"tanh({a})/(1 + exp(-({b})))"
    if kind == 1:
        return f"silu({a})*({b})" if axes else f"({a})*({b})"
    if kind == 2:
        return f"0.5*({a})*(1 + tanh(0.7978845608028654*(({a}) + 0.044715*({a})**3)))"
    return f"({a}) + ({b} - ({a}))/(1 + exp(-({b})))"


def _logsumexp(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    free = [a for a in writer.axes if a not in axes]
    fitting = [t for t in writer.tensors if set(t.axes) <= {*axes, *free} and set(t.axes) & set(free)]
    if not fitting:
        return f"log(1 + exp({writer.read(axes)}))"
    t = fitting[writer.rng.randrange(len(fitting))]
    over = ", ".join(writer.starred(a) for a in t.axes if a in free)
    return f"log(sum[{over}](exp({_spell(writer, t.name, t.axes)})))"


def _linear(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    """A product of two tensors over what the left side has not, with a bias."""
    free = [a for a in writer.axes if a not in axes]
    fitting = [t for t in writer.tensors if set(t.axes) & set(free) and set(t.axes) <= {*axes, *free}]
    if len(fitting) < 1:
        return None
    a, b = (fitting[writer.rng.randrange(len(fitting))] for _ in range(2))
    over = [x for x in free if x in a.axes or x in b.axes]
    text = (
        f"sum[{', '.join(writer.starred(x) for x in over)}]({_spell(writer, a.name, a.axes)}*{_spell(writer, b.name, b.axes)})"
    )
    return f"{text} + {writer.read(axes)}" if chance(writer.rng, 50) else f"tanh({text})"


def _distance(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    free = [a for a in writer.axes if a not in axes]
    if not free:
        return None
    inner = (*axes, free[0])
    body = f"({writer.read(inner)} - {writer.read(inner)})**2"
    if f"{free[0]}" not in body.replace("]", ",").replace("[", ",").replace("*", "").replace(" ", "").split(","):
        return None
    text = f"sum[{writer.starred(free[0])}]({body})"
    return f"exp(-{text}/2)" if chance(writer.rng, 50) else f"sqrt({text} + 1/2)"


def _likelihood(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    a, b, c = (writer.read(axes) for _ in range(3))
    return f"(({a}) - ({b}))**2/(2*exp(2*tanh({c}))) + tanh({c}) + log(2*pi)/2"


def _moving(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    constants = list(writer.constants)
    weight = pick(writer.rng, constants) if constants else "0.9"
    return f"{weight}*({writer.read(axes)}) + (1 - {weight})*({writer.read(axes)})"


def _repeated(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    """The same subexpression several times."""
    inner = writer.expression(axes, min(depth, 2) - 1)
    kind = writer.rng.randrange(4)
    if kind == 0:
        return f"({inner})*tanh({inner})"
    if kind == 1:
        return f"maximum({inner}, 0)*({inner})"
    if kind == 2:
        return f"({inner}) - ({inner})**3/6"
    return f"where({writer.read(axes)} > 0, {inner}, exp(tanh({inner})) - 1)"


def _pooled(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    free = [a for a in writer.axes if a not in axes]
    fitting = [t for t in writer.tensors if set(t.axes) & set(free) and set(t.axes) <= {*axes, *free}]
    if not fitting:
        return None
    t = fitting[writer.rng.randrange(len(fitting))]
    over = ", ".join(writer.starred(a) for a in t.axes if a in free)
    kind = pick(writer.rng, ("max", "min", "mean", "sum"))
    body = _spell(writer, t.name, t.axes)
    return f"{kind}[{over}]({'relu(' + body + ')' if chance(writer.rng, 25) else body})"


def _sliding(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    """A reduction over what a row ties to an index of the left side: written as a condition, not as a sum of positions."""
    plain = [a for a in axes if a not in writer.stars]
    tensors = [t for t in writer.tensors if any(a not in (*axes, *writer.stars) for a in t.axes)]
    if not plain or not tensors:
        return None
    t, q = tensors[writer.rng.randrange(len(tensors))], pick(writer.rng, plain)
    own = [a for a in t.axes if a not in (*axes, *writer.stars)]
    inner, taps = (*axes, *t.axes), [a for a in writer.axes if a not in (*axes, *t.axes, *writer.stars)][:1]
    step = pick(writer.rng, ("", "", "2*"))
    right = " ".join([q, *(f"{pick(writer.rng, ('-', '+'))} {k}" for k in taps), *(["- 1"] if chance(writer.rng, 30) else [])])
    factors = [_spell(writer, t.name, t.axes), writer.read((*inner, *taps))]
    over = [*dict.fromkeys(writer.starred(a) for a in (*t.axes, *taps) if a not in axes)]
    kind = pick(writer.rng, ("sum", "sum", "sum", "mean"))
    row = f"{step}{own[0]} {pick(writer.rng, ('==', '==', '<='))} {right}"
    return f"{kind}[{', '.join(over)}](where({row}, {'*'.join(factors)}, 0))"


def windowed(writer: Writer, axes: tuple[str, ...]) -> str | None:
    """A reduction of the windows that an axis of the left side stands for; None where no tensor has such windows."""
    rng = writer.rng
    found = [(w, t) for q in axes if q in writer.windows for w in [writer.windows[q]] for t in writer.tensors if w.of in t.axes]
    if not found:
        return None
    window, t = found[rng.randrange(len(found))]
    slots = [window.form if a == window.of else writer.starred(a) for a in t.axes]
    inner = (*axes, *(a for a in t.axes if a != window.of), *([window.tap] if window.tap else []))
    over = [a for a in dict.fromkeys((*t.axes, window.tap)) if a not in (*axes, window.of, "")]
    read = f"{t.name}[{', '.join(slots)}]"
    if not over:
        return read if chance(rng, 50) else f"{read} - {writer.read(axes)}"
    kinds = ("sum", "mean", "max", "min", pick(rng, ("var", "norm", "logsumexp", "prod")))
    kind = pick(rng, kinds) if window.covered and window.tap in ("", *over) and chance(rng, 60) else "sum"
    writer.nearest = tuple(over) if kind != "sum" else None
    body = f"{read}*{writer.read(inner)}" if chance(rng, 60) else read
    writer.nearest = None
    return f"{kind}[{', '.join(map(writer.starred, over))}]({body})"


def _op(writer: Writer, axes: tuple[str, ...], depth: int) -> str | None:
    """A call of the catalogue as the whole right side."""
    if writer.called >= 2:
        return None
    fitting = list(calls(writer, axes))
    if not fitting:
        return None
    writer.called += 1
    return fitting[writer.rng.randrange(len(fitting))]
