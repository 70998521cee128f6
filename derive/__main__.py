"""The command line: ``python -m derive list | show | explain``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from derive import Derivation, command, derive, derive_full, load
from derive.called import program
from derive.certify import Certificate, certify
from derive.certify.textbook import textbook_checks
from derive.double_backward import DoubleBackward, double_backward
from derive.explain import entry, explained, listed
from derive.meant import add_op, op_of
from derive.ops import names, variants
from derive.parser import Parser
from derive.show.double_backward import sections_of_double_backward
from derive.show.show import adjoint_names, fragment, parts_of, show_latex, show_text, signature, text_of
from derive.show.tangents import sections_of_tangents
from derive.show.trees import of_derivation
from derive.syntax import VARIANTS, Op
from derive.tangents import Tangents, tangents
from derive.textbook.pages import show_textbook, textbook_latex

#: The width of printed derivations.
WIDTH = 100


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    top = Parser(prog=program("derive"), description="Derive gradients, and show every step.")
    top.elsewhere = f"{program('codegen')} --help lists more commands"
    add_commands(top.add_subparsers(required=True, metavar="COMMAND"))
    options = top.parse_args(arguments)
    return command.run(lambda: int(options.run(options)))


def add_commands(commands: Any) -> None:
    """Add every command to the subparsers of a parser."""
    commands.add_parser("list", help="the ops of the catalogue").set_defaults(run=_list)
    show = commands.add_parser("show", help="the derivation of an op, a file of equations or a formula")
    add_op(show)
    show.add_argument("--steps", action="store_true", help="every step of the engine, and not the textbook's lines")
    show.add_argument("--latex", action="store_true", help="a LaTeX fragment instead of text")
    show.add_argument("--full", action="store_true", help="the adjoint of every equation, in chain-rule order")
    show.add_argument("--jvp", action="store_true", help="forward mode: the tangents of the outputs, given those of the inputs")
    show.add_argument("--double-backward", action="store_true", help="the gradients of the backward itself")
    show.add_argument("--certify", action="store_true", help="check every step at 50 digits and say what was checked")
    show.add_argument("--variant", choices=VARIANTS, default="", help="accurate: rewritten so that nothing cancels")
    show.set_defaults(run=_show)
    explain = commands.add_parser("explain", help="what a rule or a sign of a derivation means, with an example")
    explain.add_argument(
        "name", nargs="*", help="a rule such as 'fold', or a sign such as 'sum[n]'; without one, all are listed"
    )
    explain.set_defaults(run=_explain)


def _list(options: argparse.Namespace) -> int:
    command.show(*op_lines())
    return 0


def op_lines() -> list[str]:
    """The ops of the catalogue as lines: the name with what the op is, its signature, its variants."""
    width = max(map(len, names()))
    out = []
    for name in names():
        op = load(name)
        own = [v for v in VARIANTS if v and f"{name}_{v}" in variants()]
        out += [
            f"{name.ljust(width)}  {' '.join(op.title.partition(chr(10) * 2)[0].split()).rstrip('.')}",
            f"{'':{width}}  {signature(op)}",
        ]
        out += [f"{'':{width}}  variant {v}: {name}_{v}" for v in own]
    return out


def _show(options: argparse.Namespace) -> int:
    op = op_of(options)
    op = op.as_variant(options.variant) if options.variant else op
    if options.jvp or options.double_backward:
        return _show_further(options, op)
    if options.steps or options.full:
        derivation: Derivation = derive_full(op) if options.full else derive(op)
        printer = show_latex if options.latex else show_text
        print(printer(derivation, tree_of=of_derivation(derivation), full=options.full), end="")
    else:
        print(textbook_latex(op) if options.latex else show_textbook(op), end="")
    if not options.certify:
        return 0
    return _certify(certify(derive(op)).extended(textbook_checks(op)), {})


def _show_further(options: argparse.Namespace, op: Op) -> int:
    """The tangents, or the double backward."""
    if options.jvp:
        found: Tangents | DoubleBackward = (of_tangents := tangents(derive(op)))
        parts, names = sections_of_tangents(op, of_tangents), adjoint_names(found.derivation)
    else:
        found = (double := double_backward(derive(op)))
        parts = sections_of_double_backward(op, double)
        names = adjoint_names(found.derivation) | {*found.names.values()}
    print(fragment(parts_of(parts, names)) if options.latex else "\n".join(text_of(op, parts, WIDTH)) + "\n", end="")
    return _certify(certify(found.derivation), found.names) if options.certify else 0


def _explain(options: argparse.Namespace) -> int:
    """Each rule's and sign's meaning; a title of several words may be given as several arguments."""
    print(explained(entry(" ".join(options.name))) if options.name else listed(), end="")
    return 0


def _certify(certificate: Certificate, names: Mapping[str, str]) -> int:
    """Print a certificate: the checks of each name, in other ``names``, and the axis lengths at which they were made.

    Returns the exit status.
    """
    lines = ["", f"certificate: {certificate.summary()}"]
    for seed, sizes in zip(certificate.seeds, certificate.sizes, strict=True):
        lines.append(f"  point {seed}: " + ", ".join(f"size({axis}) = {n}" for axis, n in sizes))
    for name in dict.fromkeys(check.name for check in certificate.checks):
        rules = [f"{c.rule}{'' if c.passed else ' FAILED'}" for c in certificate.checks if c.name == name]
        lines.append(f"  {names.get(name, name)}: " + ", ".join(rules))
    command.show(*lines)
    return 0 if certificate.passed else 1


if __name__ == "__main__":
    sys.exit(main())
