"""Run all faults at a higher rate and print a table of their figures.

    python -m tests.faults [--rate 100] [--requests 1000]

It takes about ten minutes and needs root. The exit code is 1 if a response was wrong.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults import several_hosts
from tests.faults.client import HEAD
from tests.faults.cluster import cluster
from tests.faults.one_host_faults import SCENARIOS
from tests.faults.table import table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--requests", type=int, default=1000, help="minimum in each phase")
    options = parser.parse_args()
    figures = []
    for scenario in SCENARIOS.values():
        with tempfile.TemporaryDirectory() as folder:
            figures += scenario(Path(folder), options.rate, options.requests, long=True)
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as made:
        several_hosts.run(made, options.rate, options.requests)
    figures += made.figures
    shares = [" · ".join(f"{share:.0%}" for share in one.shares.values()) for one in figures]
    rows = [(*one.row(), share) for one, share in zip(figures, shares, strict=True)]
    print(table((*HEAD, "calls by server"), rows))
    for one in figures:
        for reason in one.reasons[:5]:
            print(f"{one.phase}: {reason}", file=sys.stderr)
    return int(any(one.wrong for one in figures))


if __name__ == "__main__":
    sys.exit(main())
