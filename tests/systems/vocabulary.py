"""The words of a random system: names that are odd but legal, comments that would like to be more, numbers of every form."""

from __future__ import annotations

from random import Random

PLAIN = "x w u v g h a p q r z m W K V X gain bias score mass".split()
ODD = (
    "output inputs I linux unix tensor grad saved_tensors SIZE_MAX x_term y_total alpha beta gamma sigma rho phi psi omega y0 "
    "j1 e E inf nan NULL true false main errno time index signal div near M_PI EOF INFINITY assert_ complex_ len_ float32 "
    "float64 nd Tensor autograd apply forward backward save_for_backward needs_input_grad axis keepdims total count args "
    "stdin BLOCK N n0 x1 x_1 xx X_ l O o S sizes_ strides result threads omp simd memset malloc free total_ REAL real size_n"
).split()
AXES = "n c k i j b h f l r a2 batch".split()
ODD_AXES = "t I linux e N s0 axis0 dim rows q0 T unix out_ step stride lane chunk".split()
OPS = "f op block layer net fused mix output_op linux I gate tensor_op main value forward_ kernel".split()
COMMENTS = (
    '"""; raise SystemExit("ran"); """',
    "*/ int ran(void) { return 1; } /*",
    "\\input{/etc/passwd} \\end{verbatim}",
    "</script><script>alert(1)</script>",
    "{{ 7*7 }} {% raw %}",
    "a backslash at the end \\",
    "''' and \"quotes\" \\N{DIGIT ONE} \\x00",
    "naïve café — ∑ λ 漢字",
    "%s {0} ${HOME} `ls`",
    "plain words",
)
#: Numbers by how they look; their magnitude is near 1 so that values stay finite.
NUMBERS = "2 3 0.5 1.5 0.1 0.25 1 7 0.7978845608028654 0.044715 1.702 0.333333333333 1e-3 2.0 1_0 4e-1 0.01 .5 3. 1e0".split()
RATIOS = ("2/3", "1/3", "(2 + 5)/3", "5*3/2", "7/2", "(1 + 1/2)", "(3 - 1)", "2**3/4", "1/7", "(2/3)**2", "10/4", "1e3/7e2")
EXTREME = ("1e20", "1e-12", "2147483648", "12345678901", "123456789.123456789", "1e-20", "1e30", "4294967297/2", "1e18")
POWERS = ("2", "3", "4", "-1", "-2", "1/2", "-1/2", "3/2", "(-3/2)", "(2/3)", "1", "0", "5", "2.5", "0.5", "1/3", "7")

#: Reference lengths, at which costs are compared.
LENGTHS = ("1", "2", "64", "4096", "1000003")


def pick(rng: Random, of: list[str] | tuple[str, ...]) -> str:
    return of[rng.randrange(len(of))]


def chance(rng: Random, percent: int) -> bool:
    """True in so many of a hundred cases; hypothesis shrinks it to False."""
    return rng.randrange(100) >= 100 - percent


class Names:
    """Names that have not been given yet, none of which collides with an adjoint."""

    def __init__(self, rng: Random):
        self.rng, self.taken = rng, set[str]()

    def fresh(self, plain: list[str], odd: list[str]) -> str:
        for _ in range(50):
            name = pick(self.rng, odd if chance(self.rng, 22) else plain)
            if self.fits(name):
                self.taken.add(name)
                return name
        number = next(k for k in range(1000) if self.fits(f"{plain[0]}{k}"))
        self.taken.add(f"{plain[0]}{number}")
        return f"{plain[0]}{number}"

    def fits(self, name: str) -> bool:
        adjoints = {f"d{t}" for t in self.taken}
        return name not in self.taken and name not in adjoints and (name[0] != "d" or name[1:] not in self.taken)

    def tensor(self) -> str:
        return self.fresh(PLAIN, ODD)

    def axis(self) -> str:
        return self.fresh(AXES, ODD_AXES)


def number(rng: Random) -> str:
    """A number, a ratio of numbers, or rarely one far from 1."""
    kind = rng.randrange(100)
    if kind < 60:
        return pick(rng, NUMBERS)
    if kind < 90:
        text = pick(rng, RATIOS)
        return text if text.startswith("(") and text.endswith(")") and text.count("(") == 1 else f"({text})"
    if kind < 94:
        return pick(rng, EXTREME)
    if kind < 97:
        return "pi"
    return f"{rng.randrange(1, 10**6) / 10 ** rng.randrange(1, 12):.17g}"
