"""The exercise: the network trained by the generated kernels, its 26 gradients, its command and its notebook."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from codegen.backends.arrays.discovery import arrays
from codegen.chain import chain_ops, chain_source, spelled_like
from codegen.tools.makemore.files import exercise_files
from derive import load, parse
from derive import syntax as st

makemore = pytest.importorskip("generated.makemore", reason="make derive has not written the exercise yet")
torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("numpy", "torch", "jax", "native")
SHORT = makemore.Settings(steps=30, hidden=16)
#: The exercise's gradients, of all the names that it takes apart.
GRADIENTS = (
    "logprobs probs counts_sum_inv counts_sum counts norm_logits logit_maxes logits h W2 b2 hpreact bngain bnbias bnraw "
    "bnvar_inv bnvar bndiff2 bndiff bnmeani hprebn embcat W1 b1 emb C"
).split()
WORDS = "anna bob carla dora emil frida gustav hanna ida jonas karla lena mona nora".split()


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- training ---------------------------------------------------------------------------------------------------------------


def twin(settings):
    """The same network with the same batches, trained by autograd through torch's own functions."""
    F = torch.nn.functional
    data = makemore.make_data(makemore.library_words(), settings.block, settings.seed)
    rng = np.random.default_rng(settings.seed)
    start = makemore.initialise(settings, len(data.alphabet) + 1, rng)
    parameters = start.map(lambda a: torch.from_numpy(a.copy()).requires_grad_())
    losses = []
    for step in range(settings.steps):
        rows = rng.integers(0, len(data.train[0]), settings.batch)
        x, t = (torch.from_numpy(a[rows]) for a in data.train)
        p = parameters
        hprebn = F.embedding(x, p.C).flatten(1) @ p.W1 + p.b1
        normal = (hprebn - hprebn.mean(0)) / torch.sqrt(hprebn.var(0, unbiased=True) + 1e-5)
        loss = F.cross_entropy(torch.tanh(p.gamma * normal + p.beta) @ p.W2 + p.b2, t)
        gradients = torch.autograd.grad(loss, list(vars(p).values()))
        rate = settings.rate if step < settings.steps / 2 else settings.rate / 10
        with torch.no_grad():
            for tensor, gradient in zip(vars(p).values(), gradients, strict=True):
                tensor -= rate * gradient
        losses.append(loss.item())
    return parameters.map(lambda a: a.detach().numpy()), losses


@pytest.fixture(scope="module")
def trained_by_autograd():
    return twin(makemore.Settings(steps=200))


@pytest.mark.parametrize("backend", BACKENDS)
def test_200_steps_agree_with_autograd(backend, trained_by_autograd) -> None:
    parameters, losses = trained_by_autograd
    result = makemore.train(makemore.library_words(), makemore.Settings(steps=200, backend=backend))
    assert len(result.losses) == 200
    np.testing.assert_allclose(result.losses, losses, rtol=0, atol=1e-4)
    for name, expected in vars(parameters).items():
        np.testing.assert_allclose(getattr(result.parameters, name), expected, rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_uses_no_autograd(backend, monkeypatch) -> None:
    def refuse(*args, **options):
        raise AssertionError("autograd was called")

    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    monkeypatch.setattr(torch.autograd, "grad", refuse)
    monkeypatch.setattr(torch.Tensor, "requires_grad_", refuse)
    result = makemore.train(WORDS, replace(SHORT, backend=backend))
    assert np.isfinite(result.train_loss)


def test_batches_are_those_of_one_draw_a_step() -> None:
    """However many steps' rows are drawn at once."""
    settings, rng = makemore.Settings(steps=1003, batch=5), np.random.default_rng(1)
    x, t = makemore.make_data(WORDS).train
    found = list(makemore._batches((x, t), settings, np.random.default_rng(1)))
    assert len(found) == settings.steps
    for contexts, labels in found:
        rows = rng.integers(0, len(x), settings.batch)
        assert np.array_equal(contexts, x[rows]) and np.array_equal(labels, t[rows])


def test_parameters_side_by_side_are_views_of_one_array() -> None:
    start = makemore.initialise(SHORT, 5, np.random.default_rng(0))
    flat, parameters = makemore._side_by_side(start)
    for name, value in vars(start).items():
        assert np.array_equal(getattr(parameters, name), value)
    makemore._descend(flat, start, 1.0)
    assert not flat.any() and not any(p.any() for p in vars(parameters).values())


def test_the_network_learns() -> None:
    result = makemore.train(makemore.library_words(), makemore.Settings(steps=1000))
    guess = np.log(len(result.data.alphabet) + 1)
    assert result.train_loss < 0.75 * guess
    assert result.validation_loss < 0.75 * guess


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_seed_decides_everything(backend) -> None:
    runs = [makemore.train(WORDS, replace(SHORT, backend=backend, seed=seed)) for seed in (1, 1, 2)]
    assert runs[0].losses == runs[1].losses != runs[2].losses
    assert runs[0].sample() == runs[1].sample() == runs[1].sample()
    assert all(np.array_equal(a, b) for a, b in zip(*(vars(r.parameters).values() for r in runs[:2]), strict=True))


def test_all_backends_take_the_same_steps() -> None:
    runs = [makemore.train(WORDS, replace(SHORT, backend=backend)) for backend in BACKENDS]
    for run in runs[1:]:
        np.testing.assert_allclose(runs[0].losses, run.losses, rtol=0, atol=1e-5)


def test_statistics_are_those_of_the_training_set() -> None:
    result = makemore.train(WORDS, SHORT)
    p, x = result.parameters, result.data.train[0]
    hprebn = p.C[x].reshape(len(x), -1) @ p.W1 + p.b1
    np.testing.assert_allclose(result.mean, hprebn.mean(axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(result.var, hprebn.var(axis=0, ddof=1), rtol=1e-4)


@pytest.mark.parametrize("at", [0, 7])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interrupt_keeps_what_there_is(backend, at) -> None:
    def interrupt(step: int, loss: float) -> None:
        if step == at:
            raise KeyboardInterrupt

    result = makemore.train(WORDS, replace(SHORT, backend=backend), on_step=interrupt)
    assert result.interrupted
    assert len(result.losses) == at + 1
    assert np.isfinite(result.train_loss)
    assert f"interrupted after {at + 1} of 30 steps" in makemore.report(result)


def test_an_interrupt_before_the_first_step_reports_too() -> None:
    result = replace(makemore.train(WORDS, SHORT), losses=[], interrupted=True)
    assert "interrupted after 0 of 30 steps" in makemore.report(result)


# ---- words ------------------------------------------------------------------------------------------------------------------


def test_the_standard_library_gives_words() -> None:
    words = makemore.library_words()
    assert len(words) == len(set(words)) > 2000
    assert all(w.isascii() and w.islower() and w.isalpha() for w in words)


def test_examples_slide_over_a_word() -> None:
    data = makemore.make_data(["ab"])
    x, t = data.train
    assert data.alphabet == "ab"
    assert x.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert t.tolist() == [1, 2, 0]
    assert len(data.validation[0]) == 0


def test_few_words_leave_none_apart() -> None:
    result = makemore.train(["ab", "ba"], SHORT)
    assert np.isnan(result.validation_loss)
    assert "none (fewer than 10 words)" in makemore.report(result)


def test_words_of_a_file(tmp_path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("élan\n\n  naïve \nél\n", encoding="utf-8")
    words = makemore.words_of(path)
    assert words == ["élan", "naïve", "él"]
    sample = makemore.train(words, SHORT).sample()
    assert set("".join(sample)) <= set("".join(words))


@pytest.mark.parametrize("words", [[], ()])
def test_no_words_are_refused(words) -> None:
    with pytest.raises(ValueError, match="no words"):
        makemore.train(words, SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(steps=0), "steps must be at least 1, not 0"),
        (dict(batch=1), "batch must be at least 2"),
        (dict(seed=-1), "seed must not be negative"),
        (dict(backend="fortran"), "backend must be numpy, torch, jax or native"),
    ],
)
def test_settings_are_checked(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SHORT, **change)


# ---- the command ------------------------------------------------------------------------------------------------------------


def test_the_command_trains_and_reports(tmp_path, capsys) -> None:
    pytest.importorskip("matplotlib")
    words, picture = tmp_path / "words.txt", tmp_path / "loss.png"
    words.write_text("\n".join(WORDS), encoding="utf-8")
    assert makemore.main(["--words", str(words), "--steps", "120", "--plot", str(picture)]) == 0
    out, progress = capsys.readouterr()
    assert "14 words, 120 steps, numpy, seed 42" in out
    assert "train loss" in out and "validation loss" in out and "samples" in out
    assert "step 120" in out
    assert "loss=" in progress
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--words", "nowhere.txt"], "cannot read words from 'nowhere.txt'"),
        (["--words", "empty.txt"], "there are no words in 'empty.txt'"),
        (["--words", "binary.txt"], "not UTF-8"),
        (["--steps", "0"], "steps must be at least 1, not 0"),
        (["--steps", "many"], "invalid int value: 'many'"),
        (["--seed", "-1"], "seed must not be negative"),
        (["--backend", "fortran"], "invalid choice: 'fortran'"),
        (["--plot", "loss.txt2"], "must end in one of"),
        (["--plot", "nowhere/loss.png"], "there is no folder"),
    ],
)
def test_what_the_command_cannot_do_it_says(arguments, message, tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xfa")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        makemore.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["--plot", "a.png"], "matplotlib"),
        (["--backend", "torch"], "torch"),
        (["--backend", "jax"], "jax"),
        (["--gradients"], "torch"),
    ],
)
def test_a_missing_package_is_named(arguments, module, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit):
        makemore.main(arguments)
    assert f"{arguments[0]}" in (message := capsys.readouterr().err)
    assert f"needs {module}: pip install" in message


def test_importing_the_exercise_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, generated.makemore; print(*sorted({'torch', 'matplotlib', 'tqdm', 'sympy', 'derive'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_chart_falls_with_the_loss() -> None:
    lines = makemore.chart(np.linspace(3, 1, 500), width=40, height=8).splitlines()
    first, last = (next(r for r, line in enumerate(lines) if len(line) > c + 10 and line[c + 10] == "*") for c in (0, 39))
    assert first == 0 and last == 7
    assert "3.0" not in lines[-1] and lines[-1].endswith("step 500")
    assert len(makemore.chart([2.0]).splitlines()) == 14


# ---- the gradients ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[(200, 32, 42), (64, 32, 1), (64, 30, 2)], ids=str)
def compared(request):
    gradients = pytest.importorskip("generated.makemore_gradients")
    hidden, batch, seed = request.param
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    settings = makemore.Settings(hidden=hidden, batch=batch, seed=seed)
    values, autograd = gradients.problem(settings)
    found = {chained: gradients.compare(values, autograd, chained=chained) for chained in (False, True)}
    closed = gradients.closed_forms(values, autograd)
    torch.set_num_threads(threads)
    sizes = {name: float(gradient.abs().max()) for name, gradient in autograd.items()}
    return found[False], found[True], closed, sizes


def test_there_are_26_gradients(compared) -> None:
    each, chained, *_ = compared
    assert {c.name for c in each} == {c.name for c in chained} == {f"d{name}" for name in GRADIENTS}
    assert len(each) == 26


def test_each_is_exact_from_autograds_own_upstream_gradient(compared) -> None:
    each, *_ = compared
    assert all(c.approximate for c in each)
    assert [c.name for c in each if not c.exact] in ([], ["dhpreact"])  # torch fuses a multiply-add there
    assert max(c.largest for c in each) <= 1e-8


def test_chained_all_are_close(compared) -> None:
    _, chained, closed, sizes = compared
    assert all(c.approximate for c in (*chained, *closed))
    # Words, and so roundings, differ from one Python to the next: eight units in the last place of the largest entry.
    assert all(c.largest <= max(1e-8, 8 * float(np.spacing(np.float32(sizes[c.name])))) for c in chained)
    assert [c.name for c in closed] == ["dlogits", "dhprebn"]
    assert max(c.largest for c in closed) <= 1e-7


def test_the_gradients_are_printed(capsys, one_thread) -> None:
    pytest.importorskip("generated.makemore_gradients")
    assert makemore.main(["--gradients"]) == 0
    out = capsys.readouterr().out
    assert "dcounts_sum_inv | exact: True  | approximate: True  | largest difference: 0" in out
    assert "25 of 26 exact" in out or "26 of 26 exact" in out


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_chain_runs_in_both_backends(backend, one_thread) -> None:
    """The adjoints chained from the loss, against autograd through a loss of torch's own."""
    import importlib
    import inspect

    chain = importlib.import_module(f"generated.{backend}.makemore_chain")
    gradients = pytest.importorskip("generated.makemore_gradients")
    values, autograd = gradients.problem(makemore.Settings(hidden=16))
    convert = (lambda a: a.numpy()) if backend == "numpy" else (lambda a: a)
    inputs = {t.name: convert(values[t.name]) for t in load("makemore").inputs}
    known = inputs | chain.makemore_values(**inputs) | {"dloss": convert(torch.ones(()))}
    for name, value in values.items():
        np.testing.assert_allclose(known[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    for adjoint in chain.ADJOINTS:
        known[adjoint.__name__] = adjoint(**{p: known[p] for p in inspect.signature(adjoint).parameters if p != "eps"})
        expected = autograd[adjoint.__name__].numpy()
        np.testing.assert_allclose(known[adjoint.__name__], expected, rtol=0, atol=1e-6, err_msg=adjoint.__name__)
        assert known[adjoint.__name__].dtype == autograd[adjoint.__name__].dtype or backend == "numpy"


# ---- how the chain is written -----------------------------------------------------------------------------------------------


def test_only_makemore_asks_for_a_chain() -> None:
    assert chain_ops() == ("makemore",)


def test_every_file_of_the_exercise_is_python() -> None:
    files = exercise_files("make derive")
    assert files.keys() >= {"makemore.py", "makemore_gradients.py", "numpy/makemore_chain.py", "torch/makemore_chain.py"}
    for name, text in files.items():
        assert ast.parse(text), name


def test_an_adjoint_takes_upstream_gradients_then_values_then_constants() -> None:
    functions = {f.name: f for f in chain_source(load("makemore"), arrays("torch"), "").adjoints}
    assert functions["dprobs"].signature == "dlogprobs, probs"
    assert functions["dcounts"].signature == "dcounts_sum, dprobs, counts_sum_inv"
    assert functions["dbnvar"].signature == "dbnvar_inv, bnvar, eps=1e-5"


def test_an_axis_that_nothing_else_has_comes_from_the_tensor_itself() -> None:
    op = parse("y[n] = total(x[n, d])\ny[n] = sum[d](x[n, d])")
    (dx,) = chain_source(op, arrays("numpy"), "").adjoints
    assert dx.signature == "dy, x"
    assert dx.prologue == ("n, d = x.shape",) or "d = x.shape[1]" in dx.prologue


def test_quotients_are_spelled_as_the_author_did() -> None:
    u, g = st.Read("u", ("n",)), st.Read("g", ("n",))
    one, two = st.Num(Fraction(1)), st.Num(Fraction(2))
    quotient = st.Div(g, st.Pow(u, two))
    assert spelled_like(quotient, [u]) == quotient
    assert spelled_like(quotient, [st.Pow(u, st.Num(Fraction(-1)))]) == st.Mul((g, st.Pow(u, st.Num(Fraction(-2)))))
    mean = st.Div(g, st.Size("n"))
    assert spelled_like(mean, [st.Div(u, st.Size("n"))]) == mean
    assert spelled_like(mean, [st.Mul((st.Div(one, st.Size("n")), u))]) == st.Mul((st.Div(one, st.Size("n")), g))


def test_starred_axes_have_no_chain_file() -> None:
    with pytest.raises(ValueError, match="named axes only"):
        chain_source(load("tanh"), arrays("numpy"), "")


# ---- the notebook -----------------------------------------------------------------------------------------------------------


def test_the_notebook_derives_codes_and_compares_every_gradient() -> None:
    nbformat = pytest.importorskip("nbformat")
    from codegen.tools.notebook import build

    notebook = build("makemore")
    nbformat.validate(notebook)
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code" and cell.source.startswith("def d"):
            name = cell.source[4 : cell.source.index("(")]
            assert before.cell_type == "markdown" and before.source.startswith(f"### {name}\n") and "$$" in before.source
            assert f'torch.allclose(manual["{name}"], autograd["{name}"], atol=1e-5)' in cell.source
    text = "\n".join(c.source for c in notebook.cells)
    assert all(f"def d{name}(" in text for name in GRADIENTS)
    assert all(ast.parse(c.source) for c in notebook.cells if c.cell_type == "code")


@pytest.mark.slow
def test_the_notebook_runs() -> None:
    pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    from codegen.tools.notebook import build, execute

    notebook = build("makemore")
    execute(notebook)
    answers = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code" and "torch.allclose" in cell.source
        for output in cell.outputs
    ]
    assert len(answers) == 26 + 6
    assert all("True" in a and "False" not in a for a in answers)


def test_the_notebook_names_what_is_missing(monkeypatch, capsys) -> None:
    from codegen.tools import notebook

    monkeypatch.setitem(sys.modules, "nbclient", None)
    assert notebook.main() == 1
    assert "the notebook needs nbclient: pip install" in capsys.readouterr().err
