"""A process that measures in one regime, started with its environment set and pinned; it leaves a Findings behind."""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from pathlib import Path

from . import regimes
from .findings import Findings

#: Seconds that torch.compile may take to compile; from then on it is left out, and the tables say so.
COMPILE_SECONDS = 25.0


def main() -> None:
    """``child.py REGIME FILE``, with the parent's options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("regime", choices=regimes.REGIMES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--op", nargs="+", default=[])
    parser.add_argument("--cpus", nargs="+", type=int, required=True)
    parser.add_argument("--coretype")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()

    # Before anything large is loaded: what malloc was told then is what all that follows has.
    allocation = regimes.set_allocation(asked.regime)
    findings = measured(asked, allocation)
    asked.file.write_bytes(pickle.dumps(findings))


def measured(asked: argparse.Namespace, allocation: bool) -> Findings:
    """Load the libraries in the order that leaves every thread where it belongs, and measure."""
    import numpy  # noqa: F401  OpenBLAS starts its threads now

    regimes.pin_workers(asked.cpus)
    from . import jaxed

    jaxed.start()
    # torch comes last: OpenMP pins this thread while it loads, and threads started later would be pinned with it.
    from . import bars, cases, floor, machine, once, sides, timing

    before = machine.loads()
    described = machine.describe(asked.cpus, asked.coretype, allocation)
    budget = timing.Budget(0.3, 0.5, 2) if asked.quick else timing.Budget(0.6, 2.5, 3)
    kept, floors = asked.regime == "kept", floor.made(len(asked.cpus), fresh=asked.regime == "fresh")
    allowance = 0.0 if asked.quick else COMPILE_SECONDS
    measurements = []
    for case in cases.cases(asked.op, asked.quick):
        if asked.quick and case.large and not bars.compares(case.op, case.what, case.shape, asked.regime):
            continue
        start = time.perf_counter()
        print(f"{asked.regime}: {case.title} ...", end=" ", flush=True, file=sys.stderr)
        found = timing.measure(case, asked.regime, sides.sides(case, kept, floors, allowance > 0, asked.quick), budget)
        allowance -= found.of(sides.COMPILED).started
        measurements.append(found)
        print(f"{time.perf_counter() - start:.1f} s", flush=True, file=sys.stderr)
    one = once.time_once(asked.op, asked.cpus, asked.quick) if kept else None
    return Findings(described, tuple(measurements), one, (before, machine.loads()))


if __name__ == "__main__":
    main()
