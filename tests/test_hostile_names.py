"""No control character of a model's names, of a submission's error or of a typed line reaches the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

import codegen
import derive
from codegen.tools.flow import flow
from tests.test_learn import lines, played

ESCAPE = "\x1b[31mred\x1b[0m\nnext\x07\u202e"


def harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


class Net(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(3, 2), f"{name} 2": nn.Tanh()})
        self.register_parameter(f"{name} scale", nn.Parameter(torch.ones(2)))

    def forward(self, x: Any) -> Any:
        for layer in self.layers.values():
            x = layer(x)
        return x * dict(self.named_parameters(recurse=False)).popitem()[1]


def test_a_report_on_a_model_with_such_names_has_the_rows_of_any_other() -> None:
    Named = type(ESCAPE, (Net,), {})
    batch = (torch.ones(4, 3), torch.tensor([0, 1, 0, 1]))
    found, plain = (str(flow(net, nn.CrossEntropyLoss(), batch)) for net in (Named(ESCAPE), Net("plain")))
    assert harmless(found) and "x1b[31mred" in found
    rows = [text.partition("\nloss")[0].count("\n") for text in (found, plain)]
    assert rows[0] == rows[1]


def test_an_error_of_an_audited_function_is_shown_with_escapes() -> None:
    def backward(dy: Any, y: Any) -> Any:
        raise ValueError(ESCAPE)

    said = str(codegen.audit(backward, "tanh"))
    assert harmless(said) and r"\x1b[31mred" in said


def test_a_typed_line_is_shown_with_escapes_and_the_sign_under_its_place(tmp_path: Path) -> None:
    typed = ("dx = \x1b[31m?", "", "dy * (lambda: (_ for _ in ()).throw(ValueError('\\x1b[31mred')))()", "")
    typed_and_said = played(derive.load("tanh"), tmp_path / "mine.py", lines(*typed)).splitlines()
    shown = [line for line in typed_and_said if not line.startswith("dx = ")]
    assert harmless("\n".join(shown)) and any(r"ValueError: \x1b[31mred" in line for line in shown)
    (at,) = (k for k, line in enumerate(shown) if line.strip() == "^")
    assert shown[at - 1][shown[at].index("^") :].startswith(r"\x1b")
