"""How fast each job trains, beside a plain ``model.fit`` on the same arrays in memory, in one run.

    python -m benchmarks.training [--markdown] [--seconds 4] [JOB …]

Ours is ``training.fit.fit``: seeds, checkpoints and progress included. Both sides get a model built alike, warm up for
an epoch and then take turns epoch by epoch, so that whatever else the machine does meets both; the ratio is that of the
medians. Below 0.9 the job's pipeline would be what holds it up. Jobs whose data cannot be had run on their stand-in.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # and with it TensorFlow, before serving.protos puts its stand-in there
from rich.console import Console
from rich.table import Table

from serving.store import Store
from training import fit
from training.catalogue import JOBS, find
from training.job import Examples, Job, JobError, Options, Recipe
from training.run import with_start

_AT_MOST, _LEAST_ROUNDS = 4_000, 3  # examples, so that a round is short


@dataclass(frozen=True)
class Speed:
    """Examples a second."""

    name: str
    batch_size: int
    ours: float
    plain: float

    @property
    def ratio(self) -> float:
        return self.ours / self.plain


def loaded(job: Job) -> tuple[Examples, Recipe, Options]:
    """Some of its examples by its own loader; on the stand-in where the data cannot be had."""
    recipe = replace(job.recipe, examples=min(job.recipe.examples or 150, 150) if "xo" in job.name else _AT_MOST)
    options = with_start(job, Options(), Store(Path("exports")))
    try:
        examples = job.load(options, recipe)
    except JobError:
        if "stand_in" not in job.takes:
            raise
        options = replace(options, stand_in=True)
        examples = job.load(options, recipe)
    train = tuple(values[:_AT_MOST] for values in examples.train)
    return replace(examples, train=train, validation=None), recipe, options


def measure(job: Job, seconds: float) -> Speed:
    examples, recipe, options = loaded(job)
    stretch = recipe.save_every  # what lies between two checkpoints

    def built() -> keras.Model:
        fit.seed_everything(recipe)
        return job.build(examples, options, recipe)

    ours, plain = built(), built()
    rounds = replace(recipe, epochs=stretch)
    took: dict[str, list[float]] = {"ours": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:

        def fit_ours(index: int) -> None:
            run = fit.Run(Path(folder, str(index)), {})
            fit.fit(ours, examples, rounds, run, lambda epoch, percent, figures: None)

        def fit_plain(index: int) -> None:
            plain.fit(*examples.train, batch_size=recipe.batch_size, epochs=stretch, verbose=0)

        until, index = time.perf_counter() + seconds, 0
        while index <= _LEAST_ROUNDS or time.perf_counter() < until:
            for name, call in (("ours", fit_ours), ("plain", fit_plain)):
                begun = time.perf_counter()
                call(index)
                if index:  # the first compiles
                    took[name].append(time.perf_counter() - begun)
            until = max(until, time.perf_counter() + seconds) if index == 0 else until
            index += 1
    seen = stretch * len(examples.train[0])
    return Speed(job.name, recipe.batch_size, *(seen / statistics.median(took[name]) for name in ("ours", "plain")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", default=list(JOBS))
    parser.add_argument("--seconds", type=float, default=4.0, help="of each job, for both sides together")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    speeds = []
    for name in arguments.jobs:
        try:
            speeds.append(measure(find(name), arguments.seconds))
            print(f"{name}: {speeds[-1].ratio:.2f}", flush=True)
        except JobError as error:
            print(f"{name}: not measured, {error}", flush=True)
        keras.backend.clear_session()
    cells = [(s.name, str(s.batch_size), f"{s.ours:,.0f}", f"{s.plain:,.0f}", f"{s.ratio:.2f}") for s in speeds]
    heads = ("job", "batch", "examples/s", "plain model.fit", "ratio")
    if arguments.markdown:
        for row in (heads, ("---", *["---:"] * 4), *cells):
            print("| " + " | ".join(row) + " |")
        return
    table = Table(*heads)
    for row in cells:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
