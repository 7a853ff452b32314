"""How fast each job trains, beside a plain ``model.fit`` on the same arrays in memory, in one run.

    python -m benchmarks.training [--seconds 20] [JOB …]     13 minutes for all on two cores

Ours is ``training.fit.fit``: seeds, checkpoints, callbacks and progress included. Both sides get a model built alike,
warm up and then take turns, each first in every other round, so that whatever else the machine does meets both. A turn
is what lies between two checkpoints of the job, on as many of its examples as time allows: where these are not all,
what ours does once for each turn weighs more than in the job itself. The ratio is the median of the rounds'; below 0.9
the job's pipeline would be what holds it up. Jobs whose data cannot be had run on their stand-in.

Standard output is one Markdown table; how far it is goes to standard error.
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # and with it TensorFlow, before serving.protos puts its stand-in there

from serving.store import Store, StoreError
from training import fit
from training.catalogue import JOBS, find
from training.job import Examples, Job, JobError, Options
from training.run import with_start

_LEAST = 1_000  # examples of a turn, where there are so many
_ROUNDS = 3  # at least
_TURNS = 12  # into which a job's time is cut, about


@dataclass(frozen=True)
class Speed:
    """Examples a second, in the median of the rounds, of turns of so many ``examples`` (each ``epochs`` times)."""

    job: Job
    examples: int
    epochs: int
    ours: tuple[float, ...]
    plain: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(ours / plain for ours, plain in zip(self.ours, self.plain, strict=True))

    def cells(self) -> tuple[str, ...]:
        speeds = (f"{statistics.median(rounds):,.0f}" for rounds in (self.ours, self.plain))
        turn = f"{self.examples:,} × {self.epochs}"
        return (
            f"`{self.job.name}`",
            str(self.job.recipe.batch_size),
            turn,
            str(len(self.ours)),
            *speeds,
            f"{self.ratio:.2f}",
        )


def loaded(job: Job) -> tuple[Examples, Options]:
    """Its examples by its own loader; the stand-in where the data cannot be had. Both sides go without validation."""
    options = with_start(job, Options(), Store(Path("exports")))
    try:
        examples = job.load(options, job.recipe)
    except JobError:
        if "stand_in" not in job.takes:
            raise
        options = replace(options, stand_in=True)
        examples = job.load(options, job.recipe)
    return replace(examples, validation=None), options


def measure(job: Job, seconds: float) -> Speed:
    """Both sides in turn for about so many seconds, but for ``_ROUNDS`` rounds at least.

    Raises:
        JobError: the job is not fitted, or its data cannot be had.
    """
    if not job.recipe.epochs:
        raise JobError("it has nothing to fit")
    examples, options = loaded(job)
    recipe = replace(job.recipe, epochs=job.recipe.save_every)

    def built() -> keras.Model:
        fit.seed_everything(recipe)
        return job.build(examples, options, recipe)

    ours, plain = built(), built()
    everything = len(examples.train[0])

    with tempfile.TemporaryDirectory() as folder:

        def fit_ours(part: Examples, turn: int) -> None:
            run = fit.Run(Path(folder, str(turn)), {})
            fit.fit(ours, part, recipe, run, lambda epoch, percent, figures: None, job.callbacks())

        def fit_plain(part: Examples, turn: int) -> None:
            plain.fit(*part.train, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)

        def took(call: Callable[[Examples, int], None], count: int, turn: int) -> float:
            part = replace(examples, train=tuple(values[:count] for values in examples.train))
            begun = time.perf_counter()
            call(part, turn)
            return time.perf_counter() - begun

        count = min(_LEAST, everything)
        for turn, call in enumerate((fit_ours, fit_plain)):
            took(call, count, turn)  # compiles
        fitting = seconds / _TURNS / took(fit_plain, count, 0)
        count = min(max(count, int(count * fitting)), everything)
        rounds: dict[str, list[float]] = {"ours": [], "plain": []}
        until, turn = time.perf_counter() + seconds, 2
        while len(rounds["plain"]) < _ROUNDS or time.perf_counter() < until:
            sides = [("ours", fit_ours), ("plain", fit_plain)]
            for name, call in sides if turn % 2 else reversed(sides):
                rounds[name].append(recipe.epochs * count / took(call, count, turn))
            turn += 1
    return Speed(job, count, recipe.epochs, tuple(rounds["ours"]), tuple(rounds["plain"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="all without")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each job, for both sides together")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.jobs if name not in JOBS]:
        parser.error(f"there is no job {', '.join(unknown)}; there are: {', '.join(JOBS)}")
    heads = (
        "job",
        "batch",
        "examples × epochs in a turn",
        "rounds",
        "ours, examples/s",
        "`model.fit`, examples/s",
        "ratio",
    )
    rows: list[tuple[str, ...]] = [heads, ("---", *["---:"] * (len(heads) - 1))]
    for name in arguments.jobs or JOBS:
        begun = time.perf_counter()
        try:
            speed = measure(find(name), arguments.seconds)
        except (JobError, StoreError) as error:
            print(f"{name}: not measured, {error}", file=sys.stderr, flush=True)
            continue
        rows.append(speed.cells())
        print(f"{name}: {speed.ratio:.2f}, after {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        keras.backend.clear_session()
        gc.collect()
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
