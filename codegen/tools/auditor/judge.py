"""The verdicts on a submission after its hearing, each with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from codegen.tools.auditor.conduct import conduct, in_float32
from codegen.tools.auditor.counterexample import smallest
from codegen.tools.auditor.diagnose import diagnose
from codegen.tools.auditor.hearing import COARSE, Hearing, Session
from codegen.tools.auditor.report import BUT, CORRECT, WRONG, Finding, Remark, Report
from codegen.tools.auditor.strain import strain
from codegen.tools.auditor.ties import at_ties

__all__ = ["judge"]

#: The numbers of axes for which ``*s`` stands, in words.
AXES = {0: "no axis", 1: "one axis", 2: "two axes"}
COUNT = {0: "none", 1: "one", 2: "two"}


def judge(heard: Hearing, dtype: str | None, declared: bool, in_order: bool = False) -> Report:
    """The report. ``dtype`` is the dtype that was asked for, or None; ``declared`` says if the numbers of axes were given.

    ``in_order`` asks for right numbers on random arrays alone, and explains the first wrong gradient alone.
    """
    main = heard.main
    submission = main.bench.submission
    wrong = [n for n in main.judged if n not in main.right]
    if in_order:
        return _report(heard, dtype, declared, [], _one_after_another(main, wrong))
    found = {n: _wrong(n, main) for n in wrong}
    remarks, misconduct = conduct(heard)
    remarks += _refusals(heard, declared)
    forward = [f for n, f in found.items() if n in submission.outputs]
    if forward:  # a wrong forward has other gradients
        same = [replace(f, reason=f"it is not what {main.bench.op.name} computes{_after(f.reason)}") for f in forward]
        return _report(heard, dtype, declared, remarks, same)
    steps: tuple[Callable[[list[str]], Iterable[Finding]], ...] = (
        lambda names: _elsewhere(heard, names),
        lambda names: [f for f in misconduct if f.gradient in names],
        lambda names: _of_another_dtype(main, names) if dtype != "float32" else [],
        lambda names: in_float32(heard, names) if dtype != "float64" else [],
        lambda names: at_ties(heard, names),
        lambda names: strain(heard, names, dtype or "float64"),
    )
    for step in steps:
        for finding in step([n for n in submission.gradients if n not in found]):
            found.setdefault(finding.gradient, finding)
    return _report(
        heard, dtype, declared, remarks, [found.get(n) or Finding(n, CORRECT, _largest(n, main)) for n in submission.gradients]
    )


def _report(heard: Hearing, dtype: str | None, declared: bool, remarks: list[Remark], findings: list[Finding]) -> Report:
    bench = heard.main.bench
    return Report(
        bench.op.name, bench.submission.name, dtype or "float64", tuple(findings), _note(heard, declared), tuple(remarks)
    )


def _largest(name: str, session: Session) -> float:
    return max(t.compare(name).largest for t in session.trials)


def _after(reason: str) -> str:
    return f": {reason}" if reason else ""


def _one_after_another(main: Session, wrong: list[str]) -> list[Finding]:
    """Findings on gradients that come of one another."""
    found = {n: Finding(n, WRONG, _largest(n, main), f"it may come of {wrong[0]} alone, which is wrong") for n in wrong[1:]}
    found |= {n: _wrong(n, main) for n in wrong[:1]}
    return [found.get(n) or Finding(n, CORRECT, _largest(n, main)) for n in main.judged]


# ---- what is wrong with a gradient ----------------------------------------------------------------------------------------


def _wrong(name: str, session: Session) -> Finding:
    """The finding on a gradient that is not right on random inputs."""
    failed, largest = session.failed(name), _largest(name, session)
    if largest <= COARSE:
        reason = "right to the precision of float32 only, where the arguments are float64"
        return Finding(name, BUT, largest, reason, None, smallest(name, session.bench, failed))
    reason = failed.compare(name).reason
    return Finding(name, WRONG, largest, reason, diagnose(name, session.trials), smallest(name, session.bench, failed))


def _elsewhere(heard: Hearing, names: Iterable[str]) -> Iterator[Finding]:
    """Findings on gradients that are right for one number of axes, and wrong for another at which the code runs."""
    for name in names:
        if session := heard.wrong_elsewhere(name):
            failed = session.failed(name)
            compared = failed.compare(name)
            stars = _stars(session)
            reason = (
                f"right with {stars} as {AXES[heard.main.rank]}, and wrong with {COUNT[session.rank]}{_after(compared.reason)}"
            )
            diagnosis = diagnose(name, session.trials)
            yield Finding(name, WRONG, compared.largest, reason, diagnosis, smallest(name, session.bench, failed))


def _of_another_dtype(session: Session, names: Iterable[str]) -> Iterator[Finding]:
    for name in names:
        found = {t.dtypes.get(name, "float64") for t in session.trials}
        if found != {"float64"}:
            other = sorted(found - {"float64"})[0]
            yield Finding(name, WRONG, _largest(name, session), f"it is {other} where the arguments are float64")


# ---- what is said of the whole --------------------------------------------------------------------------------------------


def _stars(session: Session) -> str:
    return ", ".join(f"*{s}" for s in sorted(session.bench.op.stars))


def _refusals(heard: Hearing, declared: bool) -> list[Remark]:
    """Remarks on numbers of axes for which the code raises, unless it refuses them deliberately."""
    refused = [s for s in heard.refused if s.error and (declared or not s.error.deliberate)]
    if heard.main.error or not heard.main.right or not refused:
        return []
    served = [r for r in sorted(heard.sessions) if not heard.sessions[r].error]
    first = refused[0]
    option = ",".join(map(str, served))
    text = (
        f"only with {_stars(first)} as {_said(served)}: with {_said([s.rank for s in refused], COUNT)} it raised {first.error};"
        f" --axes {option} declares that it is for nothing else"
    )
    return [Remark(BUT, text)]


def _note(heard: Hearing, declared: bool) -> str:
    """A note on the numbers of axes tried and on the convention for statistics, where these are not the default."""
    main, bench = heard.main, heard.main.bench
    parts = []
    ran = [r for r in sorted(heard.sessions) if not heard.sessions[r].error]
    if bench.op.stars and (len(ran) < len(heard.sessions) or main.error or declared):
        parts.append(f"{_stars(main)} as {_said(ran or [main.rank])}")
    refused = [s.rank for s in heard.sessions.values() if s.error and s.error.deliberate]
    if refused and ran:
        parts[-1] += f", and it refuses {_said(sorted(refused), COUNT)} itself"
    named = {n: x for n, x in bench.layouts.items() if n in bench.submission.parameters}
    if named:
        parts.append("with " + ", ".join(n + x.text(bench.op.stars) for n, x in sorted(named.items())))
    return "; ".join([*parts, *([bench.submission.assumed] if bench.submission.assumed else [])])


def _said(ranks: Iterable[int], words: dict[int, str] = AXES) -> str:
    *first, last = [words[r] for r in ranks]
    return f"{', '.join(first)} or {last}" if first else last
