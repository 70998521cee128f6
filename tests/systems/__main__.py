"""``python -m tests.systems``: check random systems, shrink those that fail, and count.

The exit status is 0 where at least 99.5 % are right in every backend and the others are refused by name, in one line.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.systems.check import BACKENDS, Verdict
from tests.systems.generate import generate
from tests.systems.pool import Task, run
from tests.systems.shrink import shrink


def main() -> int:
    options = _parser().parse_args()
    os.environ.setdefault("BACKPROP_NINJA_CFLAGS", options.cflags)
    backends = tuple(options.backends.split(","))
    if options.replay:
        tasks: Iterator[Task] = ((name, Path(name).read_text(encoding="utf-8"), options.seed) for name in options.replay)
    else:
        tasks = ((k, generate(Random(f"{options.seed}:{k}")), k) for k in range(options.count))
    counts, failures, start = Counter[tuple[str, str]](), list[tuple[Task, Verdict]](), time.perf_counter()
    for done, (task, verdict, seconds) in enumerate(run(tasks, backends, options.limit, options.jobs), 1):
        counts[verdict.kind, verdict.stage] += 1
        if verdict.failed:
            failures.append((task, verdict))
            if not options.quiet or options.replay:
                print(f"--- {task[0]} ({seconds:.1f} s) {verdict.kind}, {verdict.stage}: {verdict.what}\n{task[1]}", flush=True)
        elif options.replay:
            print(f"--- {task[0]} ({seconds:.1f} s) {verdict.kind}")
        if done % 100 == 0:
            print(f"{done} systems, {len(failures)} failures, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    if options.shrink:
        _shrink(failures, backends, options)
    print(f"\n{sum(counts.values())} systems in {time.perf_counter() - start:.0f} s")
    for (kind, stage), count in counts.most_common():
        print(f"{count:6}  {kind} {stage}")
    return 0 if _good_enough([v for _, v in failures], sum(counts.values())) else 1


def _good_enough(failures: list[Verdict], count: int) -> bool:
    """Whether at least 99.5 % are right and the others refused by name, each in one line."""
    return all(v.kind == "refused" for v in failures) and len(failures) <= 0.005 * count


def _shrink(failures: list[tuple[Task, Verdict]], backends: tuple[str, ...], options: argparse.Namespace) -> None:
    """Print the smallest text of each failure; failures of one kind at most as often as asked for."""
    seen = Counter[tuple[str, str, str]]()
    for (name, text, seed), verdict in failures:
        kind = (verdict.kind, verdict.stage, verdict.gist)
        seen[kind] += 1
        if seen[kind] > options.each:
            continue
        wanted = tuple(b for b in backends if verdict.stage.endswith(b)) or backends[:1]

        def fails(candidate: str, seed: int = seed, verdict: Verdict = verdict, wanted: tuple[str, ...] = wanted) -> bool:
            tasks: list[Task] = [("", candidate, seed)]
            return any(v.like(verdict) for _, v, _ in run_here(tasks, wanted, options.limit))

        small = shrink(text, fails, options.attempts)
        print(f"=== {name}, shrunk: {verdict.kind}, {verdict.stage}: {verdict.what}\n{small}", flush=True)


def run_here(tasks: list[Task], backends: tuple[str, ...], limit: float) -> Iterator[tuple[Task, Verdict, float]]:
    """As :func:`run`, in this process: what does not even read as a system is no failure."""
    from tests.systems.check import timed

    for task in tasks:
        try:
            verdict, seconds = timed(task[1], task[2], backends, limit)
        except Exception:
            verdict, seconds = Verdict("ok"), 0.0
        yield task, verdict, seconds


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.systems", description="Check random systems against brute force.")
    top.add_argument("--count", type=int, default=100, help="how many (default: %(default)s)")
    top.add_argument("--seed", default="0", help="of the texts; with --replay that of the points (default: %(default)s)")
    top.add_argument("--backends", default=",".join(BACKENDS), help="comma-separated (default: %(default)s)")
    top.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    top.add_argument("--limit", type=float, default=20.0, help="seconds of each stage (default: %(default)s)")
    top.add_argument("--shrink", action="store_true", help="print the smallest text that fails so")
    top.add_argument("--each", type=int, default=3, help="shrink so many failures of a kind (default: %(default)s)")
    top.add_argument("--attempts", type=int, default=300, help="texts tried for each (default: %(default)s)")
    top.add_argument("--quiet", action="store_true", help="print the shrunk texts and the counts alone")
    top.add_argument("--cflags", default="-O1", help="more flags of the C compiler (default: %(default)s)")
    top.add_argument("--replay", nargs="+", metavar="FILE", help="check these texts instead")
    return top


if __name__ == "__main__":
    sys.exit(main())
