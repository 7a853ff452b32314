"""The long form: figures of each phase, printed as a table.

    python -m tests.faults [--rate 100] [--requests 1000]

About two minutes, as root. Answers that are wrong make the exit code 1.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults import scenarios
from tests.faults.cluster import Figures, cluster

_HEAD = (
    "what happens",
    "sent",
    "lost",
    "wrong",
    "by the other gateway",
    "over 1 s",
    "slowest s",
    "last of these after s",
    "calls by server",
)


def row(one: Figures) -> str:
    shares = " · ".join(f"{share:.0%}" for share in one.shares.values())
    cells = (one.phase, one.sent, one.lost, one.wrong, one.elsewhere, one.slow, f"{one.slowest:.2f}")
    return line(*cells, f"{one.recovered:.1f}", shares)


def line(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--requests", type=int, default=1000, help="at least, in each phase")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as made:
        scenarios.run(made, options.rate, options.requests)
    print("\n".join([line(*_HEAD), line(*["---"] * len(_HEAD)), *map(row, made.figures)]))
    for one in made.figures:
        for why in one.why[:5]:
            print(f"{one.phase}: {why}", file=sys.stderr)
    return int(any(one.wrong for one in made.figures))


if __name__ == "__main__":
    sys.exit(main())
