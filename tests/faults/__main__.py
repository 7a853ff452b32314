"""Run all faults at a higher rate and print a table of their figures.

    python -m tests.faults [--rate 100] [--requests 1000]

It takes about two minutes and needs root. The exit code is 1 if a response was wrong.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults import scenarios
from tests.faults.cluster import Figures, cluster

_HEAD = (
    "phase",
    "sent",
    "lost",
    "wrong",
    "retried at the other gateway",
    "over 1 s",
    "slowest s",
    "last lost or slow after s",
    "calls by server",
)


def row(one: Figures) -> str:
    shares = " · ".join(f"{share:.0%}" for share in one.shares.values())
    cells = (one.phase, one.sent, one.lost, one.wrong, one.retried, one.slow, f"{one.slowest:.2f}")
    return line(*cells, f"{one.recovered:.1f}", shares)


def line(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--requests", type=int, default=1000, help="minimum in each phase")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as made:
        scenarios.run(made, options.rate, options.requests)
    print("\n".join([line(*_HEAD), line(*["---"] * len(_HEAD)), *map(row, made.figures)]))
    for one in made.figures:
        for reason in one.reasons[:5]:
            print(f"{one.phase}: {reason}", file=sys.stderr)
    return int(any(one.wrong for one in made.figures))


if __name__ == "__main__":
    sys.exit(main())
