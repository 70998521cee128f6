"""How a backward with right results treats its arguments: their memory layout, their dtype, and writes to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from codegen.tools.auditor.hearing import Hearing, Session
from codegen.tools.auditor.memory import EXPANDED, READ_ONLY, STRIDED
from codegen.tools.auditor.report import BUT, WRONG, Finding, Remark
from codegen.tools.auditor.samples import expanded, random_samples
from codegen.tools.auditor.trial import Trial

__all__ = ["conduct", "in_float32"]

#: What a report says of an array with such a memory layout.
SAID = {STRIDED: "is strided", EXPANDED: "is expanded, one number at every index", READ_ONLY: "is read-only"}


def conduct(heard: Hearing) -> tuple[list[Remark], list[Finding]]:
    """Remarks on arguments that a submission writes to and on arrays for which it raises; findings for other layouts."""
    remarks, findings = [], {}
    trials = [(s, t) for s in heard.sessions.values() if s.right for t in _laid_out(s)]
    every = [t for s in heard.sessions.values() for t in s.trials] + [t for _, t in trials]
    written = dict.fromkeys(n for t in every if not t.error for n in t.written)
    if written:
        remarks.append(Remark(WRONG, f"it writes to {', '.join(written)}, which the caller may need again"))
    said = set()
    for session, trial in trials:
        if trial.error:
            if trial.memory not in said and not (written and trial.memory != STRIDED):
                remarks.append(Remark(WRONG, f"it fails where {_culprits(trial)}: it raised {trial.error}"))
            said.add(trial.memory)
            continue
        for name in session.right:
            found = trial.compare(name)
            if not found.right and name not in findings:
                reason = f"right for contiguous arrays, and wrong where {_culprits(trial, name)}"
                findings[name] = Finding(name, WRONG, found.largest, reason)
    return remarks, list(findings.values())


def _laid_out(session: Session) -> Iterator[Trial]:
    """Trials with arrays in other memory layouts, as far as the library's arrays can have them."""
    bench = session.bench
    sample = random_samples(bench.op, bench.free)[0]
    if bench.submission.library.strided:
        yield bench.try_on(sample, STRIDED)
        yield bench.try_on(expanded(bench.op, bench.free), EXPANDED)
    if bench.submission.library.locked:
        yield bench.try_on(sample, READ_ONLY)


def _culprits(trial: Trial, name: str = "") -> str:
    """The arguments whose memory layout alone causes the fault."""
    arrays = [n for n, v in trial.arguments().items() if hasattr(v, "shape")]
    for n in arrays:
        alone = trial.bench.try_on(trial.sample, trial.memory, only=n)
        if alone.error if trial.error else not alone.error and not alone.compare(name).right:
            return f"{n} {SAID[trial.memory]}"
    return f"every argument {SAID[trial.memory]}"


def in_float32(heard: Hearing, names: Sequence[str]) -> Iterator[Finding]:
    """Findings on gradients that, for float32 arguments, have another dtype or lose digits."""
    for session in heard.sessions.values():
        bench = replace(session.bench, dtype="float32")
        found = [bench.try_on(s) for s in random_samples(bench.op, bench.free)] if session.right else []
        for name in (n for n in names if n in session.right):
            for trial in found:
                if finding := _in_float32(name, trial):
                    yield finding
                    break


def _in_float32(name: str, trial: Trial) -> Finding | None:
    compared = trial.compare(name)
    if trial.error:
        return Finding(name, WRONG, compared.largest, f"right in float64, and for float32 arguments {compared.reason}")
    if (dtype := trial.dtypes.get(name, "float32")) != "float32":
        return Finding(name, WRONG, compared.largest, f"it is {dtype} where the arguments are float32")
    if not compared.right:
        reason = compared.reason or f"off by {compared.largest:.1g} of the largest term in float32, though right in float64"
        return Finding(name, BUT, compared.largest, reason)
    return None
