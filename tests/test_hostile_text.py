"""Text never runs: whatever an author writes, every emitted file parses to what it is with harmless words in their place."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from markupsafe import Markup

from codegen import escape
from codegen.__main__ import main
from codegen.backends.arrays.discovery import arrays
from codegen.backends.native.differentiable import torch_files
from codegen.backends.native.files import op_files
from codegen.chain import render_chain
from codegen.emit import formatted
from codegen.places import LANGUAGES, filled, marked
from codegen.plan import plan
from codegen.render import render
from codegen.source import Code
from codegen.tools.atlas.book import pages
from codegen.tools.atlas.files import _page as page_html
from codegen.tools.flow.source import render_flow, render_runtime
from codegen.tools.notebook import build_op
from codegen.tools.workbook import exercise, sheet
from derive import Derivation, Op, OpError, derive, parse
from derive import syntax as tree
from derive.__main__ import main as derive_main
from derive.certify import certify
from derive.show.latex import escape as latex_escape
from derive.show.show import latex_document
from derive.show.trees import of_derivation
from derive.visible import lines_of, visible
from generated.native import _build
from tests.backends import ARRAYS

EQUATIONS = """\
loss = hostile(x[n, d], t[n], eps=1e-5){0}
eps > 0{1}
t[n] in d{2}
# {3}
m[n] = max[d](x[n, d]){4}
loss = mean[n](m[n] - x[n, t[n]]*eps){5}
"""
HARMLESS = "words"
ATTACKS = (
    # Python: docstrings, comments, the encoding of a file, doctest
    '"""; print("ran"); z = """',
    '"""',
    '\\"""; import os #',
    "\\",
    '"',
    '""',
    "'''; import os; '''",
    "x\\N{LATIN SMALL LETTER A}\\x00\\u12\\",
    "\n>>> import os",
    "first\nimport os\n",
    "-*- coding: utf-7 -*- +AAo-import os",
    "vim: set fileencoding=utf-16 :",
    "fmt: off",
    "type: ignore # noqa",
    # C: comments, line splices, trigraphs, strings
    '*/ __attribute__((constructor)) static void f(void) { system("ls"); } /*',
    "*/",
    "/",
    "*",
    "*\\\n/ int evil; /*",
    "*??/\n/ int evil; /*",
    "/* // \\",
    "??/",
    "*\\",
    "#include <stdlib.h>\n#define real int",
    "// clang-format off",
    # LaTeX
    r"\input{/etc/passwd}\write18{ls}",
    "^^5cinput secrets % $ # & _ { } ~ \\\\",
    "\\end{document}\\begin{verbatim}",
    # HTML, in text and in attributes; Markdown; mathematics in a notebook
    "<script>alert(1)</script></pre></title><img src=x onerror=alert(1)>",
    '" onload="alert(1)" x=\'',
    "</script><!-- ]]> --> &lt;b&gt;",
    "[x](javascript:alert(1)) ![y](z) `` ` ```\n# heading\n- item\n1. one\n    code\n***",
    "$$\\href{javascript:alert(1)}{x}$$ \\\\( y \\\\)",
    # Jinja, formats, the shell
    "{{ 7*7 }}{% include 'x' %}{# no #}{0}{}%s%(x)s",
    "$(touch x); `ls` && rm -rf '\"",
    # what does not print, or prints as something else
    "\x1b[31m\x1b]0;title\x07\x9b2J\x08\x7f",
    "\x00\x0c\x0b\x1c\x85\u2028\u2029 import os",
    "\r import os \r\n import os",
    "\u202e reversed \u2066 \u200b \ufeff \U000e0001",
    "\ud800 lone \udfff",
    "é ß 中文 😀 ẞ",
    "\t\ttabs\t",
    "x" * 3000,
)


def hostile(op: Op, words: Callable[[], str]) -> Op:
    """The op with such words wherever an author may write them, comments without ends of lines."""
    comments = [" # " + re.sub(r"[\r\n]", " ", words()) for _ in range(6)]
    text = EQUATIONS.format(*comments[:3], comments[3][3:], *comments[4:])
    return replace(op, text=text, title=f"{words()}\n\n{words()}", source=words(), notes=(words(), words()))


def op_with(words: str) -> Op:
    return hostile(plain_op(), lambda: words)


@cache
def plain_op() -> Op:
    return parse(EQUATIONS.format(*[""] * 6))


@cache
def derivation() -> Derivation:
    return derive(plain_op())


def files_of(op: Op) -> dict[str, str]:
    """The files of an op's kernels, not formatted."""
    own = replace(derivation(), op=op)
    kernel = plan(own)
    texts = {f"{b}/hostile.py": arrays(b).text(kernel, op.source) for b in ARRAYS}
    native = op_files(kernel, op.source) | torch_files(kernel, op.source)
    return texts | {path: source for path, source in native.items() if not path.endswith("_native.py")}


def other_files(op: Op) -> dict[str, str]:
    """The other files that have words of an author in them, or the command that made them."""
    chains = {f"{b}/hostile_chain.py": render_chain(op, arrays(b), op.source) for b in ARRAYS}
    package = render("backends/package.py.j2", backend="numpy", command=op.source, ops=[("hostile", ("hostile_forward",))])
    return chains | render_runtime(op.source) | {"numpy/hostile_flow.py": render_flow(op, op.source), "__init__.py": package}


# ---- what a file says, whatever its words are --------------------------------------------------------------------------------


def statements(source: str) -> str:
    """A Python file without its docstrings and comments, as the interpreter reads its bytes."""
    module = ast.parse(source.encode("utf-8"))
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body.pop(0)
    return ast.dump(module)


TRIGRAPHS = dict(zip("=/'()!<>-", "#\\^[]|{}~", strict=True))


def tokens(source: str) -> list[str]:
    """The tokens of a C file: trigraphs replaced and lines spliced first, as the standard says, then comments left out."""
    source = re.sub(r"\?\?([=/'()!<>-])", lambda m: TRIGRAPHS[m[1]], source)
    source = re.sub(r"\\[ \t]*\n", "", source)
    pattern = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*|\w+|\s+|.'
    found = re.findall(pattern, source, re.DOTALL)
    return [t for t in found if not t.isspace() and not t.startswith(("/*", "//"))]


def read(path: str, source: str) -> Any:
    return statements(source) if path.endswith(".py") else tokens(source)


@cache
def expected() -> dict[str, Any]:
    return {path: read(path, source) for path, source in files_of(op_with(HARMLESS)).items()}


def test_the_readers_of_this_file_see_what_they_should() -> None:
    assert tokens('a /* b */ c // d\n"/*" e') == ["a", "c", '"/*"', "e"]
    assert tokens("/* *??/\n/ x") == ["x"]
    assert statements('"""a"""\nx = 1') == statements('"""b"""\nx = 1 # c') != statements("x = 2")


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_no_attack_adds_or_changes_a_statement(attack: str) -> None:
    found = files_of(op_with(attack))
    assert {path: read(path, source) for path, source in found.items()} == expected()


def test_nor_do_all_of_them_together_in_the_other_files() -> None:
    harmless, attacked = other_files(op_with(HARMLESS)), other_files(op_with(" | ".join(ATTACKS)))
    for path, source in attacked.items():
        assert read(path, source) == read(path, harmless[path]), path


def test_nor_does_it_when_the_files_are_formatted() -> None:
    files = {f"{k}/{path}": s for k, attack in enumerate(ATTACKS) for path, s in files_of(op_with(attack)).items()}
    harmless = formatted({f"harmless/{path}": s for path, s in files_of(op_with(HARMLESS)).items()})
    for name, source in formatted(files).items():
        path = name.partition("/")[2]
        assert read(path, source) == read(path, harmless[f"harmless/{path}"]), name


WORDS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="\"'\\*/?#\n {}<>$%^`;=->\r\0\x1b\u2028x", max_size=40),
    st.lists(st.sampled_from(ATTACKS), max_size=4).map("".join),
)


@given(st.data())
@hypothesis_settings(max_examples=50)
def test_nor_do_any_words(data: st.DataObject) -> None:
    op = hostile(plain_op(), lambda: data.draw(WORDS))
    for path, source in files_of(op).items():
        assert read(path, source) == expected()[path], path
        assert "".join(lines_of(source)).isprintable(), path


@given(WORDS, WORDS)
def test_a_literal_has_the_text_for_its_value(one: str, other: str) -> None:
    assert ast.literal_eval(f'"{escape.python_string(one)}{escape.python_string(other)}"') == one + other
    joined = f"{escape.c_string(one)}{escape.c_string(other)}"
    assert tokens(f'"{joined}"') == [f'"{joined}"']
    value = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), joined).encode("latin-1")
    assert value == (one + other).encode("utf-8", "surrogatepass")


@given(WORDS)
def test_a_docstring_shows_the_text_with_what_does_not_print_spelled_out(words: str) -> None:
    shown = ast.literal_eval(f'"""{escape.docstring(words)}"""')
    assert shown.replace("> >>", ">>>") == visible(words, lines=True)


@given(st.text(max_size=40), st.sampled_from(['"', "\\", "??/", "\n", '"\n#include "x']))
def test_the_path_of_a_source_is_one_string_to_the_compiler(words: str, attack: str) -> None:
    path = _build._escaped((words + attack).encode("utf-8", "replace").decode())
    assert tokens(f'#line 1 "{path}"')[2:] == ["1", f'"{path}"'] and path.isascii() and path.isprintable()


def test_comments_of_the_author_are_shown() -> None:
    files = files_of(op_with('the """ and the */ of \'an\' author'))
    for path, source in files.items():
        text = ast.get_docstring(ast.parse(source)) or "" if path.endswith(".py") else source
        # Two of the title, one of the source, six comments.
        assert text.count("of 'an' author") >= (9 if not path.endswith(".h") else 2), path


# ---- templates cannot forget -------------------------------------------------------------------------------------------------


def fill(template: str, language: str, **values: object) -> str:
    marks = {k: marked(v) for k, v in values.items()}
    return filled(template.format(**marks), LANGUAGES[language])


def test_a_value_is_escaped_for_where_its_template_puts_it() -> None:
    assert fill('# {a}\nx = "{a}"\n', ".py", a='"\n') == '# "\\n\nx = "\\"\\n"\n'
    assert fill('"""{a}"""', ".py", a='"""') == r'"""\"\"\""""'
    assert fill('/* {a} */ f("{a}"); // {a}\n', ".c", a="*/\n") == '/* * /\n */ f("*/\\012"); // * /\\n\n'
    assert fill("/*{a}{b}*/", ".c", a="*", b="/") == "/** /*/"


def test_text_is_refused_where_code_stands() -> None:
    assert fill("{a}({b}, {c})", ".py", a="f.g", b=Code("x + 1"), c=1e-5) == "f.g(x + 1, 1e-05)"
    for words in ("import os", "f()", "1 + 1", "x;y", "a\nb", '"'):
        with pytest.raises(TypeError, match="text where code stands"):
            fill("{a}", ".py", a=words)
    for template in ("f'{a}'", 'f"{a}"', "'{a}'"):
        with pytest.raises(TypeError, match="f-string or single quotes"):
            fill(template, ".py", a="x")


# ---- LaTeX -------------------------------------------------------------------------------------------------------------------

OWN = re.compile(r"\\(?:textbackslash|textasciitilde|textasciicircum)\{\}|\\[#$%&_{}]")


@given(WORDS)
def test_text_in_latex_is_nothing_but_text(words: str) -> None:
    rest = OWN.sub("", latex_escape(words))
    assert not re.search(r"[\\~^#$%&_{}\n\r]", rest) and rest.isprintable()


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_a_document_has_the_control_sequences_of_a_harmless_one(attack: str) -> None:
    def controls(words: str) -> list[str]:
        own = replace(derivation(), op=op_with(words))
        return re.findall(r"\\(?:[A-Za-z]+|.)|[%^~]", OWN.sub("", latex_document(own, of_derivation(own))))

    assert controls(attack) == controls(HARMLESS)


# ---- notebooks, pages, certificates, exercises -------------------------------------------------------------------------------


def test_a_notebook_has_the_same_cells() -> None:
    harmless = build_op(op_with(HARMLESS)).cells
    for attack in ATTACKS[::4]:
        cells = build_op(op_with(attack)).cells
        assert [c.cell_type for c in cells] == [c.cell_type for c in harmless]
        assert [c.source for c in cells if c.cell_type == "code"] == [c.source for c in harmless if c.cell_type == "code"]
        assert [c.source for c in cells[1:]] == [c.source for c in harmless[1:]]
        heading, _, rest = cells[0].source.partition("\n\n")
        words, _, equations = rest.rpartition("\n\nThe forward pass:\n\n")
        assert heading == "# Backprop by hand: hostile" and harmless[0].source.endswith(equations)
        assert not marked_up(words)


def marked_up(paragraphs: str) -> bool:
    """Whether Markdown has anything but words and code spans in it, or a viewer finds mathematics."""
    outside = re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", paragraphs)
    signs = r"[\\*_\[\]<>$~|^@`]|&(?!#\d+;)|^ *(?:[-+=#>]|\d+[.)])|^    "
    return bool(re.search(signs, outside, re.MULTILINE))


@given(WORDS)
def test_a_paragraph_of_markdown_has_no_markup(words: str) -> None:
    assert not marked_up(escape.markdown(words))


class Structure(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[Any] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.text += data


class AnyFormula(dict[Any, Markup]):
    def __missing__(self, key: Any) -> Markup:
        return Markup("<i>formula</i>")


def test_a_page_has_the_same_elements() -> None:
    def structure(words: str) -> Structure:
        # In prose, double backquotes are the author's own markup.
        op = replace(op_with(words.replace("``", "")), name="hostile")
        (page,) = pages([op])
        return Structure(page_html(page, None, None, AnyFormula()))

    def outer(found: Structure) -> list[Any]:
        """Without the coloured pieces of sources, of which a text may have more or fewer."""
        return [t for t in found.tags if t != "i" and t[0] != "i"]

    harmless, attacked = structure(HARMLESS), structure(" | ".join(a for a in ATTACKS if len(a) < 1000))
    assert outer(attacked) == outer(harmless)
    assert "<script>alert(1)</script>" in attacked.text
    assert all(c.isprintable() or c == "\n" for c in attacked.text)


def test_a_certificate_is_the_same_json() -> None:
    for words in (HARMLESS, ATTACKS[0]):
        found = json.loads(certify(replace(derivation(), op=op_with(words))).to_json())
        assert found["op"] == "hostile" and found["passed"]


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_an_exercise_has_the_same_statements(attack: str) -> None:
    blanks = exercise_of()
    harmless = sheet(blanks, "a.py", command="b")
    found = replace(blanks, op=op_with(attack))
    assert statements(sheet(found, attack, command=attack)) == statements(harmless)


@cache
def exercise_of() -> Any:
    return exercise(op_with(HARMLESS))


# ---- names -------------------------------------------------------------------------------------------------------------------

BAD_NAMES = ("x; import os", 'x"""', "x*/", "%", "\\", "x y", "é", "_x", "1x", "", "x\n", "x'y", "<b>")


def ops_named(name: str) -> Iterator[Op]:
    """The same small op with such a name in each place where a name may stand, made without the parser."""
    x, n = "x", "n"
    for place in ("op", "input", "output", "axis", "constant", "read", "bound", "function", "kind", "relation", "named number"):
        axis = name if place == "axis" else n
        given = tree.Tensor(name if place in ("input",) else x, (axis,))
        out = tree.Tensor(name if place == "output" else "y", (axis,))
        read: tree.Tree = tree.Read(name if place == "read" else given.name, (axis,))
        if place == "bound":
            read = tree.Reduce("sum", (name,), tree.Read(given.name, (name,)))
        elif place == "kind":
            read = tree.Reduce(name, (n,), tree.Read(given.name, (n,)))
        elif place == "function":
            read = tree.Call(name, (read,))
        elif place == "relation":
            read = tree.Call("where", (tree.Compare(name, read, tree.Num(Fraction(0))), read, read))
        elif place == "named number":
            read = tree.Const(name)
        constants = (tree.Constant(name if place == "constant" else "k", "1"),)
        yield Op(name if place == "op" else "f", (given,), (out,), constants, (tree.Equation(out.name, (axis,), read),))


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_what_is_no_name_is_refused_wherever_it_stands(name: str) -> None:
    for op in ops_named(name):
        with pytest.raises(OpError, match="is no name|not part of the language"):
            derive(op)


@pytest.mark.parametrize("default", ["__import__('os')", "1, y=2", "1\n", "x", "inf", "1_0", "１", ""])
def test_a_default_is_a_number(default: str) -> None:
    op = parse("y[n] = f(x[n], k=1)\ny[n] = k*x[n]")
    with pytest.raises(OpError, match="is no number"):
        derive(replace(op, constants=(tree.Constant("k", default),)))


# ---- end to end --------------------------------------------------------------------------------------------------------------


def test_an_equations_file_of_a_stranger_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emitted in every backend, verified and compiled, as a user would."""
    monkeypatch.chdir(tmp_path)
    python = '"""; open("canary", "w"); z = """'
    c = '*/ #include <stdio.h>\\n__attribute__((constructor)) static void f(void) { fclose(fopen("canary", "w")); } /*'
    (tmp_path / "op.txt").write_text(f"y[n] = stranger(x[n])  # {python}\ny[n] = tanh(x[n])  # {c}\n# {python}\n")
    assert main(["emit", "op.txt", "--out", "out"]) == 0
    assert main(["exercise", "op.txt", "--solution", "--out", "solution.py"]) == 0
    assert main(["exercise", "op.txt", "--check", "solution.py"]) == 0
    assert not (tmp_path / "canary").exists()
    assert 'print("ran")' not in (tmp_path / "out/numpy/stranger.py").read_text()
    assert "open(" in (ast.get_docstring(ast.parse((tmp_path / "out/numpy/stranger.py").read_text())) or "")


@pytest.mark.parametrize("run", [main, derive_main], ids=["codegen", "derive"])
def test_no_control_character_reaches_the_terminal(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "\x1b[31mred.txt"
    path.write_bytes(b"y[n] = f(x[n])\ny[n] = \x1b[31m x[n]")
    for what in (str(path), "y[n] = \x1b]0;t\x07 x[n]\n", "\x1b[2J"):
        assert run(["show" if run is derive_main else "schedule", what]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and all(c.isprintable() or c == "\n" for c in said.err + said.out)
