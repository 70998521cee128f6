"""The command line: ``python -m derive list | show``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from derive import Derivation, Op, command, derive, derive_full, load, parse, parse_formula
from derive.called import program
from derive.certify import certify
from derive.ops import names
from derive.show.show import show_latex, show_text, signature
from derive.show.trees import of_derivation
from derive.syntax import VARIANTS


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    top = argparse.ArgumentParser(prog=program("derive"), description="Derive gradients, and show every step.")
    add_commands(top.add_subparsers(required=True, metavar="COMMAND"))
    options = top.parse_args(arguments)
    return command.run(lambda: int(options.run(options)))


def add_commands(commands: Any) -> None:
    """Add every command to the subparsers of a parser."""
    commands.add_parser("list", help="the ops of the catalogue").set_defaults(run=_list)
    show = commands.add_parser("show", help="the derivation of an op, a file of equations or a formula")
    show.add_argument("what", help="an op's name, a file, or a formula such as 'y[i] = exp(-x[i]**2)'")
    show.add_argument("--latex", action="store_true", help="a LaTeX fragment instead of text")
    show.add_argument("--full", action="store_true", help="the adjoint of every equation, in chain-rule order")
    show.add_argument("--certify", action="store_true", help="check every step at 50 digits and say what was checked")
    show.add_argument("--variant", choices=VARIANTS, default="", help="accurate: rewritten so that nothing cancels")
    show.set_defaults(run=_show)


def _list(options: argparse.Namespace) -> int:
    width = max(map(len, names()))
    for name in names():
        op = load(name)
        print(f"{name.ljust(width)}  {signature(op)}")
    return 0


def _show(options: argparse.Namespace) -> int:
    op = find(options.what)
    op = op.as_variant(options.variant) if options.variant else op
    derivation: Derivation = derive_full(op) if options.full else derive(op)
    printer = show_latex if options.latex else show_text
    print(printer(derivation, tree_of=of_derivation(derivation), full=options.full))
    return _certify(derivation if not options.full else derive(op)) if options.certify else 0


def _certify(derivation: Derivation) -> int:
    """Print the certificate: the checks of each name, and the axis lengths at which they were made. Returns the exit status."""
    certificate = certify(derivation)
    lines = [f"certificate: {certificate.summary()}"]
    for seed, sizes in zip(certificate.seeds, certificate.sizes, strict=True):
        lines.append(f"  point {seed}: " + ", ".join(f"size({axis}) = {n}" for axis, n in sizes))
    for name in dict.fromkeys(check.name for check in certificate.checks):
        rules = [f"{c.rule}{'' if c.passed else ' FAILED'}" for c in certificate.checks if c.name == name]
        lines.append(f"  {name}: " + ", ".join(rules))
    command.show(*lines)
    return 0 if certificate.passed else 1


def find(what: str) -> Op:
    """The op of a command-line argument, which is a formula, a file of equations, or a name of the catalogue."""
    if "=" in what:
        return parse(what) if "\n" in what.strip() else parse_formula(what)
    if command.is_path(what):
        return parse(command.read_text(Path(what)))
    return load(what)


if __name__ == "__main__":
    sys.exit(main())
