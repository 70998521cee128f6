"""Time the kernels and print the tables: ``python -m tests.benchmarks [--save] [--op NAME ...] [--quick]``."""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from . import regimes
from .cases import every_op
from .findings import Findings

ROOT = Path(__file__).resolve().parents[2]
SAVED = ROOT / "generated" / "bench"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
#: What has tables of its own, on one thread: convolutions and pooling, attention under a mask.
ON_ONE_THREAD = ("windows", "masked")


def main() -> int:
    """Measure in a process for each regime, then print; returns the exit status, which no time has a part in."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Times the kernels beside torch.")
    parser.add_argument("--op", nargs="+", metavar="NAME", choices=every_op(), help="only these ops")
    parser.add_argument("--quick", action="store_true", help="fewer samples of what the bars compare; no torch.compile")
    saved = f"also write table.md and speed.svg into {SAVED.relative_to(ROOT)}/"
    parser.add_argument("--save", action="store_true", help=saved)
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads, each on a core of its own (default: 2)")
    asked = parser.parse_args()
    if asked.threads < 1:
        parser.error("--threads must be at least 1")
    cpus = regimes.usable_cpus(asked.threads)
    findings = [found for regime in regimes.REGIMES if (found := _run(regime, cpus, asked)) is not None]
    if len(findings) < len(regimes.REGIMES):
        return 1
    _show(findings, asked.save)
    if not asked.op and not asked.quick:
        for name in ON_ONE_THREAD:
            print(flush=True)
            subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=ROOT, env=ONE_THREAD, check=False)
    return 0


def _run(regime: str, cpus: list[int], asked: argparse.Namespace) -> Findings | None:
    """What a process of its own finds; None if it fails, after what it said."""
    coretype = os.environ.get("OPENBLAS_CORETYPE")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "findings")
        command = [sys.executable, "-m", "tests.benchmarks.child", regime, str(file), "--cpus", *map(str, cpus)]
        command += ["--op", *(asked.op or every_op()), *(["--quick"] if asked.quick else [])]
        command += ["--coretype", coretype] if coretype is not None else []
        done = subprocess.run(command, cwd=ROOT, env=regimes.environment(regime, cpus, os.environ), check=False)
        if done.returncode:
            print(f"error: the process for {regime} pages ended with status {done.returncode}", file=sys.stderr)
            return None
        found: Findings = pickle.loads(file.read_bytes())
        return found


def _show(findings: list[Findings], save: bool) -> None:
    # These load torch and matplotlib, which the parent needs only now.
    from . import bars, plot, table

    machine = findings[0].machine
    loads = [load for f in findings for load in f.loads]
    once = next((f.once for f in findings if f.once is not None), None)
    measurements = [m for f in findings for m in f.measurements]
    found = table.tables(measurements, once, bars.reached(measurements, once))
    print(table.as_text(machine, loads, found), end="")
    if save:
        SAVED.mkdir(parents=True, exist_ok=True)
        (SAVED / "table.md").write_text(table.as_markdown(machine, loads, found), encoding="utf-8")
        plot.save(measurements, SAVED / "speed.svg")
        print(f"saved in {SAVED.relative_to(ROOT)}/")


if __name__ == "__main__":
    sys.exit(main())
