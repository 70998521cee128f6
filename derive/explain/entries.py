"""Rules and signs, each said once, with an op whose derivation has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from derive.command import meant

__all__ = ["ENTRIES", "FACT", "RULES", "Entry", "Track", "entry", "entry_for"]


class Track(Enum):
    """Which lines of an op's derivation an example is taken from."""

    TEXTBOOK = "show"
    STEPS = "show --steps"
    ACCURATE = "show --steps --variant accurate"


@dataclass(frozen=True)
class Entry:
    """A rule or a sign. ``says`` explains it; ``op`` is an op in whose lines it occurs.

    A rule occurs beside a line. A sign occurs in a line; ``sign`` is how it is spelled there.
    """

    name: str
    says: str
    op: str
    track: Track = Track.TEXTBOOK
    sign: str = ""
    aliases: tuple[str, ...] = ()

    def labels(self, rule: str) -> bool:
        """Whether a rule as it stands beside a line, such as ``fold y``, is this one."""
        if self.name == FACT:
            return " = " in rule
        return not self.sign and " = " not in rule and (rule == self.name or rule.startswith(f"{self.name} "))

    @property
    def anchor(self) -> str:
        """The name with letters, digits and hyphens only, for an anchor of a page."""
        words = re.findall(r"[A-Za-z0-9]+", " ".join([self.name, *self.aliases]))
        return "-".join(["rule" if not self.sign else "sign", *words]).lower()


#: The name of the entry on identities that stand beside a line.
FACT = "fact"

SIGMOID = "y[i] = 1/(1 + exp(-x[i]))"
SOFTMAX = "p[c] = exp(z[c])/sum[c](exp(z[c]))"
NLL = "loss = nll(p[n, c], t[n])\nt[n] in c\nloss = -mean[n](log(p[n, t[n]]))"
CENTRED = "y[n] = f(x[n])\nc[n] = x[n] - mean[n](x[n])\ny[n] = c[n]*(sum[n](c[n]**2) + 1)**(-1/2)"

RULES = (
    Entry(
        "chain rule",
        "The adjoint of a name is the sum, over all equations that read the name, of the adjoint of their left side times "
        "their derivative by the name. Indices that the name does not have are summed over.",
        "y[n] = x[n]*w",
    ),
    Entry(
        "fold",
        "A name takes the place of its definition. 'fold y' says that something equal to y stood in the line, and that "
        "the line now reads y.",
        "y[i] = (x[i] + 1)**(-1/2)",
    ),
    Entry(
        "unfold",
        "A definition takes the place of its name, the reverse of fold. It is done where the parts then cancel, or fold "
        "into something shorter.",
        "o = f(z[c], v[c])\np[c] = exp(z[c])/sum[c](exp(z[c]))\no = sum[c](p[c]*v[c])",
    ),
    Entry(
        "inline",
        "The line of an adjoint takes the place of its name, in a line that reads it. 'inline du' says that du was "
        "replaced by what du was found to be.",
        "y = f(x[n])\nu[n] = 3*x[n]\ny = sum[n](u[n]**2)",
    ),
    Entry(
        FACT,
        "An identity beside a line, such as sum[n](c[n]) = 0, is what made the line equal to the one before. It follows "
        "from the definitions, and the engine has proved it. --steps shows the proof.",
        CENTRED,
        aliases=("identity", "= 0", "= 1"),
    ),
    Entry(
        "solve",
        "A sum that has a name is solved for one of its terms: where t = a + b, a is written as t - b.",
        SIGMOID,
        Track.STEPS,
    ),
    Entry(
        "stabilise",
        "A positive sum of exponentials is written as a smaller sum times the exponential of the largest exponent m. The "
        "smaller sum cannot overflow. exp(m) cancels in ratios, and a logarithm splits it off. The value stays the same.",
        SOFTMAX,
        Track.STEPS,
    ),
    Entry(
        "split log",
        "The logarithm of a product of positive factors is the sum of their logarithms, and log(exp(z)) is z. 'split log "
        "p' says that the logarithm of p was split.",
        "y[c] = log(exp(z[c])/sum[c](exp(z[c])))",
    ),
    Entry(
        "with",
        "A part of an equation was given a letter, so that it need not be written out in every line. 'with a' says that a "
        "stands for the part; its own line stands before.",
        "y[n, k] = tanh(sum[j](x[n, j]*W[j, k]))",
    ),
    Entry(
        "gap",
        "An exponent less the larger of two exponents is minus how far it lies below: f - maximum(f, g) is -maximum(0, g "
        "- f). So no infinity is subtracted from an infinity.",
        SIGMOID,
        Track.STEPS,
    ),
    Entry(
        "log1p",
        "log(1 + u) is computed as log1p(u), which keeps the digits of a small u that 1 + u would round away.",
        "y[i] = log(1 + exp(x[i]))",
        Track.STEPS,
    ),
    Entry(
        "no cancellation",
        "A difference in which nearly equal numbers cancel is replaced by an equal form in which none do: 1 - tanh(x)**2 "
        "is 4*e/(1 + e)**2 with e = exp(-2*abs(x)). The variant 'accurate' does so.",
        "y[i] = tanh(x[i])",
        Track.ACCURATE,
    ),
    Entry(
        "other shares",
        "One less a share of a sum is the sum of the other shares: with p = u/(u + v), 1 - p is v/(u + v). Nothing "
        "cancels in it, even where p rounds to 1.",
        SIGMOID,
        Track.ACCURATE,
    ),
    Entry(
        "halve the exponent",
        "An exponential that becomes too small before the product it stands in does is multiplied in two halves: "
        "x*exp(-u) is (x*h)*h with h = exp(-u/2).",
        "y[i] = x[i]/(1 + exp(-x[i]))",
        Track.ACCURATE,
    ),
    Entry(
        "split the square",
        "The exponential of a square is split so that rounding the square does not show: with v the leading bits of "
        "abs(u), u**2 is v**2 + (abs(u) - v)*(abs(u) + v).",
        "y[i] = exp(-x[i]**2)",
        Track.ACCURATE,
    ),
)

SIGNS = (
    Entry(
        "dx",
        "The adjoint of x: the derivative of the loss by each element of x, an array of the shape of x. What comes from "
        "outside is the adjoint of the result, such as dy.",
        "y[n] = 3*x[n]",
        sign="dx",
        aliases=("adjoint", "d", "dy", "gradient"),
    ),
    Entry(
        "x[n,d]",
        "One element of x. An index is the name of its axis, so that x[n,d] has n rows and d columns, and a line holds "
        "for every value of the indices on its left side.",
        "y[n, d] = x[n, d]*g[d]",
        sign="x[n,d]",
        aliases=("index", "axis", "element"),
    ),
    Entry(
        "*s",
        "Any number of axes, also none: x[*s] is an array of any shape. The lines of a derivation write it as one axis s.",
        "y[*s] = f(x[*s])\ny[*s] = x[*s]**2",
        sign="s",
        aliases=("star", "s"),
    ),
    Entry(
        "sum[n]",
        "The sum over all values of n. The index means nothing outside of the brackets.",
        "y[n] = x[n]*w",
        sign="sum[n]",
        aliases=("sum", "reduction"),
    ),
    Entry(
        "mean[n]",
        "The sum over all values of n, divided by their number.",
        "y[n] = x[n] - mean[n](x[n])",
        sign="mean[",
        aliases=("mean",),
    ),
    Entry(
        "max[c]",
        "The largest value over c. Its derivative is 1 at the largest element and 0 elsewhere; elements that tie share it "
        "equally.",
        "m[n] = max[c](z[n, c])",
        sign="max[c]",
        aliases=("max", "min", "min[c]"),
    ),
    Entry(
        "prod[k]",
        "The product over k. Its derivative at one factor is the product of the others: those before it times those behind "
        "it. Nothing is divided, so a factor may be 0.",
        "y[n] = prod[k](x[n, k])",
        sign="prod[k]",
        aliases=("prod",),
    ),
    Entry(
        "c'",
        "A second index over the axis of c. In a line that holds for every c, a sum over the same axis needs an index of "
        "its own.",
        SOFTMAX,
        sign="c'",
        aliases=("prime", "'"),
    ),
    Entry(
        "t[n]",
        "An integer array as an index: p[n,t[n]] is the element of row n at the place that the label t[n] says.",
        NLL,
        sign="t[n]]",
        aliases=("label", "lookup", "gather"),
    ),
    Entry(
        "[c = t[n]]",
        "1 where the condition in the brackets holds, and 0 elsewhere. [c = t[n]] is the one-hot matrix of the labels t: "
        "what was read at t[n] gets its adjoint there, and nowhere else.",
        NLL,
        sign="[c = t[n]]",
        aliases=("condition", "one-hot", "onehot", "indicator", "bracket", "scatter"),
    ),
    Entry(
        "x[i - 1]",
        "An affine read: the index is a sum of positions, and where no element has the position, the read is absent. An "
        "element of a sum or of a maximum takes no part where a read of it is absent, a mean divides by the number of the "
        "others, and outside of these an absent read is 0. A sum over l of x[l] where l = i - 1 is shown as that read.",
        "y[i] = f(x[i])\ny[i] = x[i - 1] + x[i]",
        sign="- 1",
        aliases=("affine read", "affine", "solved row", "shift", "window", "pad", "absent"),
    ),
    Entry(
        "where",
        "where(condition, a, b) is a where the condition holds, and b elsewhere.",
        "y[i] = where(x[i] > 0, x[i], 0)",
        sign="where",
        aliases=("relu",),
    ),
    Entry(
        "size(n)",
        "The length of the axis n: the number of values that the index n takes.",
        NLL,
        sign="size(n)",
        aliases=("size", "length"),
    ),
    Entry(
        "·",
        "Times, element by element. Where one factor has fewer axes, its elements are used for every value of the others' "
        "indices.",
        "y[n, d] = x[n, d]*g[d]",
        sign="·",
        aliases=("times", "*"),
    ),
    Entry(
        "x²",
        "A power. x^(1/2) is the square root, x⁻¹ the reciprocal.",
        "y[i] = x[i]**3",
        sign="²",
        aliases=("power", "^", "**", "²"),
    ),
    Entry(
        "xᵀ",
        "The matrix form of a line, beside its index form: xᵀ dy is the matrix product of x transposed with dy. A vector "
        "is a column, 1 is a column of ones, and axes that all arrays of the line have are those of a stack of matrices.",
        "y[n, h] = sum[k](x[n, k]*W[k, h])",
        sign="ᵀ",
        aliases=("transpose", "matrix", "matrix form", "T", "1", "ᵀ"),
    ),
    Entry(
        "x as [n,(b,e)]",
        "The axes of an array that a matrix form takes together, behind that form: x as [n,(b,e)] has n rows, and a column for "
        "each pair b, e, as x.reshape(N, -1) has. A signature packs axes in the same way: W[(b, e), u] is a matrix for the "
        "caller, with a row for each pair, the last axis of a pair the fastest.",
        "y[n, u] = f(x[n, b, e], W[(b, e), u])\ny[n, u] = sum[b, e](x[n, b, e]*W[b, e, u])",
        sign="x as [n,(b,e)]",
        aliases=("packed", "packs", "(b, e)", "view", "reshape", "as"),
    ),
    Entry(
        "⊙",
        "The product of two matrices element by element, in the matrix form of a line.",
        "y[n, d] = x[n, d]*g[d]",
        sign="⊙",
        aliases=("hadamard", "elementwise"),
    ),
    Entry(
        "diag(g)",
        "The diagonal matrix of a vector, in the matrix form of a line: x diag(g) multiplies the columns of x by the "
        "elements of g.",
        "y[n, d] = x[n, d]*g[d] + b[d]",
        sign="diag",
        aliases=("diag",),
    ),
)

ENTRIES = (*RULES, *SIGNS)


def entry_for(rule: str) -> Entry | None:
    """The entry of a rule as it stands beside a line, such as ``fold xhat, rstd``; None if there is none."""
    return next((found for found in RULES if found.labels(rule)), None)


def entry(name: str) -> Entry:
    """The entry that has the name, in any case and with or without blanks (KeyError if there is none)."""
    if (labelled := entry_for(name)) is not None and labelled.name != FACT:
        return labelled
    for found in ENTRIES:
        if _plain(name) in map(_plain, _names(found)):
            return found
    known = [n for e in ENTRIES for n in _names(e)]
    hint = meant(name, known)
    raise KeyError(f"'{name}' is no rule and no sign{hint}; known: {', '.join(e.name for e in ENTRIES)}")


def _names(found: Entry) -> Iterator[str]:
    yield found.name
    yield from found.aliases


def _plain(name: str) -> str:
    return re.sub(r"\s+", "", name).lower()
