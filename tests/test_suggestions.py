"""A word that no command knows is answered with the one that looks like it."""

from __future__ import annotations

import pytest

import codegen.__main__
import derive.__main__
from codegen.backends.discovery import discovered
from derive.ops import load, names, variants
from derive.show.show import signature


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (codegen.__main__.main, ["emti", "tanh"], "(did you mean 'emit'?)"),
        (derive.__main__.main, ["shwo", "tanh"], "(did you mean 'show'?)"),
        (derive.__main__.main, ["emit", "tanh"], "python -m codegen --help lists more commands"),
        (codegen.__main__.main, ["emit", "tanh", "--bakend", "numpy"], "(did you mean '--backend'?)"),
        (codegen.__main__.main, ["emit", "tanh", "--bakend=numpy"], "(did you mean '--backend'?)"),
        (derive.__main__.main, ["show", "tanh", "--certfy"], "(did you mean '--certify'?)"),
        (codegen.__main__.main, ["emit", "tanh", "--variant", "acurate"], "(did you mean 'accurate'?)"),
    ],
)
def test_an_unknown_command_option_or_choice(
    main: derive.__main__.main, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.rstrip().endswith(said)


def test_an_unknown_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert codegen.__main__.main(["emit", "tanh", "--backend", "nunpy"]) == 1
    assert "unknown backend 'nunpy' (did you mean 'numpy'?)" in capsys.readouterr().err


def test_codegen_has_every_command_of_derive(capsys: pytest.CaptureFixture[str]) -> None:
    assert codegen.__main__.main(["show", "tanh"]) == 0
    shown = capsys.readouterr().out
    assert derive.__main__.main(["show", "tanh"]) == 0
    assert capsys.readouterr().out == shown


def test_list_says_what_each_op_is_and_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert codegen.__main__.main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in names():
        op = load(name)
        first = " ".join(op.title.partition("\n\n")[0].split()).rstrip(".")
        assert f"{name} " in printed and f"  {first}\n" in printed and f" {signature(op)}\n" in printed
    assert all(f": {variant}\n" in printed for variant in variants())
    for name, backend in discovered().items():
        assert f"\n{name} " in printed and f".{name} import {', '.join(backend.exports('OP'))}\n" in printed
