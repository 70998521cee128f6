"""Systems of many equations, each of which reads the one before it, and the seconds that ``emit`` takes for them.

``python -m tests.benchmarks.chains [KIND ...] [--count N]`` emits a chain of each kind for NumPy in a process of its own, and
prints the seconds of the processor. Timings are shown, never asserted.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["KINDS", "chain"]

#: For each kind: the inputs and the equations of one link. ``{k}`` is the number of the
#: link, ``{before}`` what it reads. An input with ``{k}`` is one of each link's own.
KINDS = {
    "sums": (("x[n]", "w[n]"), ("a{k}[n] = {before}[n]*w[n] + x[n]",)),
    "own weights": (("x[n]", "w{k}[n]"), ("a{k}[n] = {before}[n]*w{k}[n] + x[n]",)),
    "tanh": (("x[n]", "w[n]"), ("a{k}[n] = tanh({before}[n]*w[n])",)),
    "norms": (("x[n]",), ("a{k}[n] = {before}[n]/sqrt(mean[n]({before}[n]**2) + 1)",)),
    "rnn": (("x[n]", "U[j, n]"), ("a{k}[n] = tanh(x[n] + sum[j]({before}[j]*U[j, n]))",)),
    "rnn, own weights": (("x[n]", "U{k}[j, n]"), ("a{k}[n] = tanh(x[n] + sum[j]({before}[j]*U{k}[j, n]))",)),
    "softmax": (
        ("x[n]", "w[n]"),
        ("e{k}[n] = exp({before}[n]*w[n])", "s{k} = sum[n](e{k}[n])", "a{k}[n] = e{k}[n]/s{k}"),
    ),
    "mixed": (
        ("x[n]", "w[n]"),
        (
            "r{k}[n] = {before}[n]/sqrt(mean[n]({before}[n]**2) + 1)",
            "e{k}[n] = exp(r{k}[n]*w[n])",
            "a{k}[n] = 1/(1 + exp(-e{k}[n]*x[n]))",
        ),
    ),
}


def chain(kind: str, count: int) -> str:
    """An op of about so many equations."""
    inputs, equations = KINDS[kind]
    links = range(max(count // len(equations), 1))
    given = dict.fromkeys(i.format(k=k) for i in inputs for k in links)
    lines = [e.format(k=k, before=f"a{k - 1}" if k else "x") for k in links for e in equations]
    return "\n".join([f"y[n] = f({', '.join(given)})", *lines, f"y[n] = a{links[-1]}[n]*x[n]"]) + "\n"


def seconds(kind: str, count: int) -> float:
    """The processor's seconds of ``emit``, from start to end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.txt"
        path.write_text(chain(kind, count), encoding="utf-8")
        command = [sys.executable, "-m", "codegen", "emit", str(path), "--backend", "numpy", "--out", f"{folder}/kernels"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="The seconds that emitting a chain of equations takes.")
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND", help=f"of: {', '.join(KINDS)}")
    parser.add_argument("--count", type=int, default=300, help="how many equations (default: %(default)s)")
    asked = parser.parse_args()
    for kind in asked.kinds:
        print(f"{kind:20} {seconds(kind, asked.count):6.1f} s", flush=True)


if __name__ == "__main__":
    main()
