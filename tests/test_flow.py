"""Gradient flow: networks made sick on purpose, whose report must name the place and the factor, and healthy ones."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from codegen.backends.arrays.discovery import arrays
from codegen.tools.flow import flow, runtime
from codegen.tools.flow.bounds import greatest
from codegen.tools.flow.source import flow_source, render_flow
from codegen.tools.flow.terms import Term, terms
from codegen.tools.makemore.files import exercise_files
from derive import derive, load, parse
from derive import syntax as st
from generated import makemore
from generated import makemore_flow as observed

ROOT = Path(__file__).resolve().parent.parent

LAYER = """
y[n, u] = layer(x[n, d], W[d, u], gain[u], bias[u], eps=1e-5)
eps > 0
z[n, u]   = sum[d](x[n, d]*W[d, u])
c[n, u]   = z[n, u] - mean[n](z[n, u])
inv[u]    = (mean[n](c[n, u]**2) + eps)**(-1/2)
norm[n, u] = c[n, u]*inv[u]
pre[n, u] = gain[u]*norm[n, u] + bias[u]
y[n, u]   = tanh(pre[n, u])
"""
CLASSIFIER = """
loss = classify(x[n, d], t[n], W[d, c])
t[n] in c
z[n, c] = sum[d](x[n, d]*W[d, c])
loss    = softmax_cross_entropy(z[n, c], t[n])
"""


def deep(depth: int, activation: str) -> str:
    """A network of square layers without normalization; ``activation`` has {} for its argument."""
    weights = ", ".join(f"W{k}[a{k}, a{k + 1}]" for k in range(depth))
    lines, before = [f"y[n, a{depth}] = deep(h0[n, a0], {weights})"], "h0"
    for k in range(depth):
        after = "y" if k == depth - 1 else f"h{k + 1}"
        lines.append(f"z{k + 1}[n, a{k + 1}] = sum[a{k}]({before}[n, a{k}]*W{k}[a{k}, a{k + 1}])")
        lines.append(f"{after}[n, a{k + 1}] = {activation.format(f'z{k + 1}[n, a{k + 1}]')}")
        before = after
    return "\n".join(lines)


def deep_data(depth: int, scale: float, seed: int = 0, *, wide: int = 30, rows: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = {f"W{k}": scale / wide**0.5 * rng.standard_normal((wide, wide)) for k in range(depth)}
    return {"h0": rng.standard_normal((rows, wide))} | weights


def layer_data(seed: int = 0, *, rows: int = 50, units: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return dict(
        x=rng.standard_normal((rows, 6)),
        W=rng.standard_normal((6, units)) / 6**0.5,
        gain=1 + 0.1 * rng.standard_normal(units),
        bias=0.1 * rng.standard_normal(units),
    )


def classifier_data(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((25, 9))
    return dict(x=x, t=rng.integers(0, 7, 25), W=rng.standard_normal((9, 7)) / 3)


def kinds(report) -> list[str]:
    return [f.kind for f in report.findings]


# ---- healthy ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("text", "data"),
    [
        (LAYER, layer_data),
        (CLASSIFIER, classifier_data),
        (deep(5, "tanh({})"), lambda seed: deep_data(5, 1.0, seed)),
        (deep(2, "maximum({}, 0)"), lambda seed: deep_data(2, 2**0.5, seed)),
    ],
    ids=["batchnorm and tanh", "classifier", "deep tanh", "relu"],
)
def test_a_healthy_network_has_no_finding(text, data, seed) -> None:
    report = flow(parse(text), data(seed))
    assert report.findings == ()
    assert str(report).endswith("No gradient vanishes or explodes.")


# ---- sick -------------------------------------------------------------------------------------------------------------------


def test_a_saturated_tanh_is_found_by_its_derivative() -> None:
    data = layer_data()
    data["gain"] = 60 * data["gain"]
    report = flow(parse(LAYER), data)
    (finding,) = [f for f in report.findings if f.kind == "saturated"]
    assert (finding.name, finding.factor) == ("dpre", "1 - y**2")
    z = data["x"] @ data["W"]
    c = z - z.mean(0)
    slope = 1 - np.tanh(data["gain"] * c / np.sqrt((c**2).mean(0) + 1e-5) + data["bias"]) ** 2
    share, ratio = (slope < 0.01).mean(), np.sqrt((slope**2).mean())
    assert share > 0.9
    assert report.row("y").saturated == share
    line = report.line("dpre", "chain")
    assert line.upstream == "dy" and line.ratio == pytest.approx(ratio)  # the upstream gradient is all ones
    assert f"y: {100 * share:.0f}% of entries have 1 - y**2 below 0.01" in finding.text
    assert f"the gradient of pre is {ratio:.2g} of that of y" in finding.text


def test_a_unit_that_is_saturated_for_all_samples_is_named() -> None:
    data = layer_data()
    data["bias"][4] = 9.0
    (finding,) = flow(parse(LAYER), data).findings
    assert (finding.kind, finding.name, finding.factor) == ("dead", "dpre", "1 - y**2")
    assert finding.places == ((("u", 4),),)
    assert finding.text.startswith("unit 4 of y has 1 - y**2 at most ")
    assert finding.text.endswith(" for every row: it hardly learns.")


@pytest.mark.parametrize("scale", [0.1, 0.03])
def test_small_weights_let_the_gradient_vanish(scale) -> None:
    report = flow(parse(deep(6, "tanh({})")), deep_data(6, scale))
    (finding,) = report.findings
    assert (finding.kind, finding.name) == ("path", "dz1")
    assert finding.factor in {f"W{k}" for k in range(1, 6)}
    size = np.sqrt(np.mean(np.square(report.values["dz1"])))
    assert f"vanishes: that of z1 is {size:.2g} of that of y" in finding.text
    assert all(f"W{k}" in finding.text for k in range(1, 6))


def test_big_weights_let_it_explode() -> None:
    report = flow(parse(deep(6, "maximum({}, 0)")), deep_data(6, 9.0))
    (finding,) = [f for f in report.findings if f.kind == "path"]
    assert finding.name in ("dz1", "dh1")
    assert "explodes" in finding.text and finding.factor in {f"W{k}" for k in range(1, 6)}
    (place,) = finding.places
    weight = np.abs(deep_data(6, 9.0)[finding.factor])
    assert weight[tuple(index for _, index in place)] == weight.max()


def test_the_worst_layer_is_the_one_whose_weights_are_wrong() -> None:
    data = deep_data(5, 1.0)
    data["W3"] = data["W3"] * 1e-4
    report = flow(parse(deep(5, "tanh({})")), data)
    (finding,) = report.findings
    assert (finding.kind, finding.name, finding.factor) == ("line", "dh3", "W3")
    assert report.furthest == report.line("dh3")
    assert report.furthest.cause.typical == pytest.approx(np.median(np.abs(data["W3"])))


def test_a_dead_feature_blows_up_the_inverse_deviation() -> None:
    data = layer_data()
    data["W"][:, 7] = 0.0
    upstream = np.random.default_rng(1).standard_normal((50, 12))
    report = flow(parse(LAYER), data, upstream={"dy": upstream})
    (finding,) = report.findings
    assert (finding.kind, finding.name, finding.factor) == ("large", "dz", "inv")
    assert finding.places == ((("u", 7),),)
    (factor,) = [f for f in report.line("dz").factors if f.text == "inv"]
    assert factor.largest == pytest.approx(1e-5**-0.5) and factor.most == (("u", 7),)
    assert report.furthest == report.line("dz") and report.furthest.cause == factor


def test_a_constant_changes_the_dead_feature() -> None:
    data = layer_data()
    data["W"][:, 7] = 0.0
    (factor,) = [f for f in flow(parse(LAYER), data, {"eps": 1e-8}).line("dz").factors if f.text == "inv"]
    assert factor.largest == pytest.approx(1e4)


def test_the_dead_feature_is_found_in_the_catalogues_op_too() -> None:
    """Where the gradient is that of an input, and nothing flows on."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 8, 3))
    x[:, 5] = 2.0
    dy = rng.standard_normal(x.shape)  # the terms of one that is constant cancel
    report = flow(load("batchnorm"), dict(x=x, gamma=np.ones(8), beta=np.zeros(8)), upstream=dict(dy=dy))
    (finding,) = report.findings
    assert (finding.kind, finding.name, finding.factor, finding.places) == ("large", "dx", "rstd", ((("d", 5),),))


def test_a_row_whose_label_is_found_has_nothing_more_to_learn() -> None:
    data = classifier_data()
    data["x"][3] = 0.0
    data["x"][3, 0], data["W"][0, data["t"][3]] = 100.0, 3.0
    report = flow(parse(CLASSIFIER), data)
    assert report.values["softmax_cross_entropy_p"][3, data["t"][3]] > 1 - 1e-12
    assert report.findings == ()


def test_nor_have_all_rows() -> None:
    data = classifier_data()
    data["x"], data["W"] = 40 * np.eye(7)[data["t"]], np.eye(7)
    report = flow(parse(CLASSIFIER), data)
    assert report.line("dz").scaled < 1e-10
    assert report.findings == ()


def test_rows_that_are_certain_of_a_wrong_label_have_too_large_logits() -> None:
    data = classifier_data()
    data["W"] *= 60
    (finding,) = flow(parse(CLASSIFIER), data).findings
    z = data["x"] @ data["W"]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    wrong = ((p.max(1) > 0.99) & (p.argmax(1) != data["t"])).mean()
    assert (finding.kind, finding.name) == ("certain", "dz") and wrong > 0.5
    assert f"z: too large. {100 * wrong:.0f}% of the rows are certain of a wrong label" in finding.text


def test_a_fairly_confident_sample_is_none() -> None:
    data = classifier_data()
    data["x"][3] = 0.0
    data["x"][3, 0], data["W"][0, data["t"][3]] = 4.0, 1.5
    report = flow(parse(CLASSIFIER), data)
    assert 0.9 < report.values["softmax_cross_entropy_p"][3, data["t"][3]] < 0.999
    assert report.findings == ()


@pytest.mark.parametrize(("narrower", "found"), [(15, 0), (60, 1)])
def test_a_feature_is_blown_up_from_thirty_times_the_usual(narrower, found) -> None:
    data = layer_data()
    deviation = (data["x"] @ data["W"]).std(0)
    data["W"][:, 7] *= np.median(deviation) / deviation[7] / narrower
    report = flow(parse(LAYER), data)
    (factor,) = [f for f in report.line("dz").factors if f.text == "inv"]
    assert factor.most == (("u", 7),) and 10 < 0.8 * narrower * factor.typical < factor.largest
    assert len([f for f in report.findings if f.kind == "large"]) == found


def test_a_saturated_layer_is_told_of_once() -> None:
    """Not again for all that lies behind it."""
    text = (
        "y[n, k] = two(x[n, d], W[d, u], V[u, k], b)\n"
        "z[n, u] = sum[d](x[n, d]*W[d, u])\n"
        "h[n, u] = tanh(z[n, u])\n"
        "q[n, k] = sum[u](h[n, u]*V[u, k]) + b\n"
        "y[n, k] = tanh(q[n, k])\n"
    )
    rng = np.random.default_rng(0)
    data = dict(
        x=rng.standard_normal((20, 5)), W=rng.standard_normal((5, 6)) / 2, V=rng.standard_normal((6, 4)) / 3, b=np.array(8.0)
    )
    report = flow(parse(text), data)
    assert kinds(report) == ["saturated"] and report.findings[0].name == "dq"
    assert np.abs(report.values["dz"]).max() < 1e-3


def test_what_is_not_finite_is_said() -> None:
    op = parse("y[n] = root(x[n])\ny[n] = log(x[n])")
    report = flow(op, dict(x=np.array([1.0, 2.0, 0.0, -1.0])))
    (found,) = [f for f in report.findings if f.kind == "not finite"]
    assert (found.name, found.places) == ("y", ((("n", 2),),))
    assert (
        "y = log(x) is not finite in 50% of its entries: -inf at n = 2, where x is 0. 1 gradient follows from it." in found.text
    )


# ---- numbers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "data"), [(LAYER, layer_data()), (CLASSIFIER, classifier_data()), (deep(4, "maximum({}, 0)"), deep_data(4, 1.4))]
)
def test_statistics_are_those_of_autograds_gradients(text, data) -> None:
    torch = pytest.importorskip("torch")
    from codegen.verify.reference import evaluate

    op = parse(text)
    report = flow(op, data)
    leaves = {n: torch.from_numpy(a).requires_grad_(a.dtype.kind == "f") for n, a in data.items()}
    values = leaves | evaluate(op, leaves, {c.name: float(c.default) for c in op.constants})
    named = [t.name for t in op.differentiable] + [e.name for e in op.equations if e.name != op.outputs[0].name]
    named = [n for n in named if values[n].requires_grad]
    (y,) = (values[t.name] for t in op.outputs)
    gradients = torch.autograd.grad(y, [values[n] for n in named], torch.ones_like(y), allow_unused=True)
    compared = 0
    for name, gradient in zip(named, gradients, strict=True):
        row, value = report.row(name), values[name].detach().numpy()
        assert row.value.mean == pytest.approx(value.mean()) and row.value.std == pytest.approx(value.std())
        if gradient is None:
            continue
        g = gradient.numpy()
        scale = np.abs(g).max()
        assert row.gradient.mean == pytest.approx(g.mean(), abs=1e-12 * scale)
        assert row.gradient.std == pytest.approx(g.std()), name
        assert row.gradient.largest == pytest.approx(scale)
        assert row.gradient.zeros == (g == 0).mean() or scale < 1e-12
        compared += 1
    assert compared == len([g for g in gradients if g is not None]) >= len(op.differentiable)


def test_a_ratio_is_of_root_mean_squares() -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal(30), rng.standard_normal(30)
    report = flow(parse("y[n] = cube(x[n])\ny[n] = x[n]**3"), {"x": x}, upstream={"dy": dy})
    line = report.line("dx", "chain")
    assert line.ratio == pytest.approx(np.sqrt(np.mean((3 * x**2 * dy) ** 2) / np.mean(dy**2)))
    assert line.scaled == pytest.approx(line.ratio / 3)  # the number 3 is no value of the forward pass
    assert line.factors[0].text == "x**2"
    assert line.factors[0].most == (("n", int(np.argmax(x**2))),)


def test_the_table_has_a_row_for_every_name() -> None:
    op = parse(LAYER)
    text = str(flow(op, layer_data()))
    first = [line.split()[0] for line in text.splitlines()[3:] if line]
    assert first[: len(op.differentiable) + len(op.equations)] == [t.name for t in op.differentiable] + [
        e.name for e in op.equations
    ]


def test_zeros_are_exact_ones() -> None:
    x = np.array([-1.0, -1e-300, 0.5, 2.0])
    row = flow(parse("y[n] = relu_of(x[n])\ny[n] = maximum(x[n], 0)"), dict(x=x)).row("y")
    assert row.value.zeros == 0.5
    assert row.saturated == 0.5  # where its derivative is 0


# ---- terms and bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["makemore", "mlp", "batchnorm", "layernorm", "attention", "gelu"])
def test_terms_are_the_line(name) -> None:
    """The term of each line, summed over its axes, gives the gradient that the chain has."""
    from dataclasses import replace

    from codegen.chain import render_chain
    from codegen.load import load_source

    op = replace(load(name), stars=frozenset())
    lengths = {axis: n for t in op.inputs for axis, n in zip(t.axes, _sample(op)[t.name].shape, strict=True)}
    data = {t.name: _sample(op)[t.name].reshape(op.packing.shape(t.name, t.axes, lengths)) for t in op.inputs}
    chain = load_source("test_chain", render_chain(op, arrays("numpy"), ""))
    values = dict(data) | _called(getattr(chain, f"{op.name}_values"), data)
    values |= {f"d{t.name}": np.ones_like(values[t.name]) for t in op.outputs}
    for adjoint in chain.ADJOINTS:
        values[adjoint.__name__] = _called(adjoint, values)
    table = load_source("test_table", render_flow(op, ""))
    compared = 0
    for line in table.LINES:
        found = [_evaluated(term, tuple(line["axes"].split()), values, table, lengths) for term in line["terms"]]
        if len(found) > 1 or found[0] is None:  # terms are without signs, so sums of several are not comparable
            continue
        term, size = found[0]
        off = np.abs(np.abs(term) - np.abs(values[line["name"]].reshape(term.shape)))
        assert np.all(off <= 1e-12 * size), line["name"]
        compared += 1
    assert compared >= 2 and {line["form"] for line in table.LINES} == {"chain", "closed"}


def _called(function, values):
    names = inspect.signature(function).parameters.values()
    return function(**{p.name: values[p.name] for p in names if p.name in values or p.default is p.empty})


def _evaluated(term, own, values, table, lengths):
    """One term by einsum, whatever its factors are, and the same with absolute values; None where labels are in it."""
    over = term["over"].split()
    axes = {"dloss": ""} | {f"d{n}": a for n, a in table.AXES.items()}
    read = axes[term["upstream"]].split()
    parts = [(np.asarray(values[term["upstream"]]).reshape([lengths[axis] for axis in read]), read)]
    parts += [(np.asarray(_called(f, values)), a.split()) for _, a, f in term["factors"]]
    constant = np.asarray(_called(term["constant"], values)) if "constant" in term else np.ones(())
    letters = {}
    sizes = {}
    for array, names in parts:
        for n, size in zip(names, array.shape, strict=True):
            letters.setdefault(n, chr(97 + len(letters)))
            sizes[n] = size
    if constant.ndim or any(i not in letters for i in (*own, *over)):
        return None  # labels decide the axes of a constant
    spec = ",".join("".join(letters[n] for n in names) for _, names in parts)
    spec = f"{spec}->{''.join(letters[i] for i in own)}"
    arrays = [a for a, _ in parts]
    return constant * np.einsum(spec, *arrays), np.abs(constant) * np.einsum(spec, *map(np.abs, arrays))


def _sample(op):
    pytest.importorskip("torch")
    from codegen.verify.agreement import sample

    return {n: a.numpy() for n, a in sample(op, 0).items()}


def read(name, *index):
    return st.Read(name, index)


def test_a_term_has_one_upstream_gradient() -> None:
    op = parse(CLASSIFIER)
    line = next(line for line in derive(op).lines if line.name == "dz")
    found = terms(line.tree, {"dloss"}, {"softmax_cross_entropy_p"})
    assert [t.upstream for t in found] == ["dloss"]
    assert len(found[0].factors) == 1 and set(st.reads(found[0].factors[0])) == {"softmax_cross_entropy_p", "t"}
    assert set(n for c in found[0].constants for n in st.reads(c)) == set()


def test_terms_of_quotients_means_and_cases() -> None:
    dy, x, w = read("dy", "n"), read("x", "n"), read("w")
    assert terms(st.Neg(dy), {"dy"}, {"x"}) == (Term("dy"),)
    assert terms(st.Div(dy, x), {"dy"}, {"x"})[0].factors == (st.Div(st.Num(1), x),)
    mean = st.Reduce("mean", ("n",), st.Mul((dy, x)))
    (term,) = terms(mean, {"dy"}, {"x"})
    assert (term.over, term.factors, term.constants) == (("n",), (x,), (st.Div(st.Num(1), st.Size("n")),))
    case = st.Call("where", (st.Compare(">", x, st.Num(0)), dy, st.Mul((w, dy))))
    yes, no = terms(case, {"dy"}, {"x", "w"})
    assert yes.factors == (st.Call("where", (case.args[0], st.Num(1), st.Num(0))),)
    assert no.factors == (st.Call("where", (case.args[0], st.Num(0), st.Num(1))), w)
    with pytest.raises(ValueError, match="not linear in dy"):
        terms(st.Pow(dy, st.Num(2)), {"dy"}, {"x"})


@pytest.mark.parametrize(
    ("formula", "bound"),
    [
        ("tanh(x[n])", 1.0),
        ("1/(1 + exp(-x[n]))", 0.25),
        ("maximum(x[n], 0)", 1.0),
        ("erf(x[n])", 1.0),  # exp(-x**2): the number before it is no value of the forward pass
        ("exp(x[n])", None),
        ("log(x[n])", None),
        ("x[n]**2", None),
    ],
)
def test_the_greatest_derivative(formula, bound) -> None:
    op = parse(f"y[n] = f(x[n])\ny[n] = {formula}")
    (term,) = next(line for line in flow_source(op, "").lines if line.name == "dx" and line.form == "chain").terms
    assert term.bound == (None if bound is None else pytest.approx(bound, rel=1e-4))


def test_a_function_of_two_entries_has_no_bound() -> None:
    both = st.Mul((read("x", "i", "j"), read("x", "j", "i")))
    assert greatest(both, "x", lambda r: None) is None


def test_starred_axes_are_plain_in_memory_and_refused_in_a_file() -> None:
    assert flow(load("tanh"), dict(x=np.ones(3))).row("y").saturated == 0
    with pytest.raises(ValueError, match="named axes only"):
        flow_source(load("tanh"), "")


def test_a_missing_input_is_named() -> None:
    with pytest.raises(KeyError, match="the input W is missing"):
        flow(parse(CLASSIFIER), dict(x=np.ones((2, 3)), t=np.zeros(2, int)))


# ---- the plot and the command -----------------------------------------------------------------------------------------------


def test_the_plot_has_a_row_for_each_layer(tmp_path, monkeypatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    made = []
    save = figure.Figure.savefig
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *a, **k: (made.append(self), save(self, *a, **k)))
    op, plot = parse(deep(3, "tanh({})")), runtime().plot.plot
    reports = [(f"step {k}", flow(op, deep_data(3, 1.0, k))) for k in range(2)]
    plot(reports, tmp_path / "flow.png")
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")
    (drawn,) = made
    labels = [a.get_ylabel() for a in drawn.axes[::2]]
    assert labels == list(reports[0][1].layers) == ["z1", "h1", "z2", "h2", "z3"]
    assert "gradient" in drawn.axes[-1].get_xlabel() and "value" in drawn.axes[-2].get_xlabel()
    heights = drawn.axes[0].patches[0].get_data()
    assert heights.values.sum() == pytest.approx(1.0)  # the share of the entries
    with pytest.raises(ValueError, match="no report"):
        plot([], tmp_path / "none.png")


def test_a_plot_says_that_it_needs_matplotlib(tmp_path, monkeypatch) -> None:
    report = flow(parse(CLASSIFIER), classifier_data())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="a plot needs matplotlib"):
        runtime().plot.plot([("", report)], tmp_path / "flow.png")


def test_the_exercise_has_its_files() -> None:
    assert exercise_files("x").keys() >= {"flow/__init__.py", "flow/plot.py", "makemore_flow.py", "numpy/makemore_flow.py"}


def test_the_generated_report_is_that_of_the_function() -> None:
    (first, last) = observed.observe(makemore.library_words(), makemore.Settings(steps=3, hidden=16), every=3)
    assert (first[0], last[0]) == (0, 3)
    values = last[1].values
    inputs = {t.name: values[t.name] for t in load("makemore").inputs}
    assert str(flow(load("makemore"), inputs)) == str(last[1])


def test_flow_trains_as_the_training_does() -> None:
    settings = makemore.Settings(steps=20, hidden=16)
    found = dict(observed.observe(makemore.library_words(), settings, every=1))
    losses = [float(found[k].values["loss"]) for k in range(20)]
    np.testing.assert_allclose(losses, makemore.train(makemore.library_words(), settings).losses, rtol=0, atol=1e-5)


def test_the_exercise_starts_healthy_and_falls_sick_with_its_weights() -> None:
    settings = makemore.Settings(steps=1)
    data = makemore.make_data(makemore.library_words())
    p = makemore.initialise(settings, len(data.alphabet) + 1, np.random.default_rng(0))
    x, t = (a[:32] for a in data.train)
    assert observed.flow(p, x, t).findings == ()
    p.gamma *= 50
    finding = observed.flow(p, x, t).findings[0]
    assert (finding.kind, finding.name, finding.factor) == ("saturated", "dhpreact", "1 - h**2")


def test_the_command(tmp_path, capsys) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "flow.png"
    assert makemore.main(["--flow", "--steps", "4", "--every", "2", "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "after 4 steps" in out and "Furthest from 1: the gradient of " in out and "No gradient vanishes or explodes." in out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "2"], "--every needs --flow"),
        (["--flow", "--every", "0"], "--every must be at least 1, not 0"),
        (["--flow", "--backend", "torch"], "--flow runs in NumPy, not in torch"),
    ],
)
def test_the_command_refuses(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit):
        makemore.main(arguments)
    assert message in capsys.readouterr().err


def test_a_report_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys, generated.makemore_flow, generated.flow; print(*({'torch', 'matplotlib', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
