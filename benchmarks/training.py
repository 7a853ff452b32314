"""Training speed of each job, compared with a plain ``model.fit`` on the same arrays in memory.

    python -m benchmarks.training [--seconds 25] [JOB …]     13 minutes for all on two CPU cores

Ours is ``training.core.fit.fit``, with seeds, checkpoints, callbacks and progress. Both sides build the same model,
warm up and alternate, so that other load on the machine affects both. A turn covers the epochs between two checkpoints
of the job, or as many examples as time allows. Turns of one batch measure the fixed cost of a turn, which counts once
per checkpoint. The ratio is the median of the rounds; below 0.9 the pipeline would slow the job down. Jobs whose data
is unavailable run on their stand-in.

Standard output is one Markdown table, standard error shows the progress.
"""

import argparse
import contextlib
import gc
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.artifacts.user_models import shipped_models
from training.core import fit
from training.core.catalogue import JOBS, find
from training.core.checkpoint import Checkpoint
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import Job, JobOptions
from training.core.preflight import with_start

_ROUNDS = 3  # minimum
_TURNS = 2 * _ROUNDS  # turns that share a job's time
_LEAST = 10  # minimum batches of a turn


@dataclass(frozen=True)
class Speed:
    """Seconds of each turn.

    Attributes:
        job: The job.
        measured: Examples of a turn.
        total: Examples between two checkpoints of the job.
        fixed: Seconds of ours per turn, for any number of examples.
        ours: Seconds of our turns.
        plain: Seconds of the turns of ``model.fit``.
    """

    job: Job
    measured: int
    total: int
    fixed: float
    ours: tuple[float, ...]
    plain: tuple[float, ...]

    def rates(self) -> list[tuple[float, float]]:
        """Return examples per second of ours and of the plain fit by round, scaled to the job's checkpoints."""
        factor = self.total / self.measured
        return [
            (self.total / ((ours - self.fixed) * factor + self.fixed), self.measured / plain)
            for ours, plain in zip(self.ours, self.plain, strict=True)
        ]

    @property
    def ratio(self) -> float:
        return statistics.median(ours / plain for ours, plain in self.rates())

    def cells(self) -> tuple[str, ...]:
        ours, plain = (f"{statistics.median(rates):,.0f}" for rates in zip(*self.rates(), strict=True))
        share = f"{self.measured:,} of {self.total:,}"
        batch, rounds = str(self.job.recipe.batch_size), str(len(self.ours))
        return (f"`{self.job.name}`", batch, share, rounds, ours, plain, f"{self.ratio:.2f}")


def load(job: Job) -> tuple[Examples, JobOptions]:
    """Load the job's examples, or its stand-in if the data is unavailable, without the validation part."""
    options = with_start(job.name, JobOptions(), ModelRegistry(shipped_models()))
    try:
        examples = job.load(options, job.recipe)
    except JobError:
        if "stand_in" not in job.takes:
            raise
        options = replace(options, stand_in=True)
        examples = job.load(options, job.recipe)
    return replace(examples, validation=None), options


def measure(job: Job, seconds: float) -> Speed:
    """Measure both sides for about that many seconds, and for ``_ROUNDS`` rounds at least.

    Raises:
        JobError: The job has no epochs, or its data is unavailable.
    """
    if not job.recipe.epochs:
        raise JobError("the job has no epochs")
    examples, options = load(job)
    total, save_every, batch = len(examples.train[0]), job.recipe.save_every, job.recipe.batch_size

    def built() -> keras.Model:
        fit.seed_everything(job.recipe)
        return job.build(examples, options, job.recipe)

    models = {"ours": built(), "plain": built()}

    def turn(side: str, count: int, epochs: int) -> float:
        """Return the seconds for that many examples and epochs."""
        part = replace(examples, train=tuple(values[:count] for values in examples.train))
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            if side == "ours":
                run, recipe = Checkpoint(Path(folder, "run"), {}), replace(job.recipe, epochs=epochs)
                fit.fit(models[side], part, recipe, run, lambda epoch, percent, figures: None, job.callbacks())
            else:
                models[side].fit(*part.train, batch_size=batch, epochs=epochs, verbose=0)
            return time.perf_counter() - started

    def rounds(seconds: float, count: int, epochs: int) -> dict[str, list[float]]:
        took: dict[str, list[float]] = {"ours": [], "plain": []}
        until = time.perf_counter() + seconds
        while len(took["plain"]) < _ROUNDS or time.perf_counter() < until:
            for side in sorted(took, reverse=len(took["plain"]) % 2 == 1):
                took[side].append(turn(side, count, epochs))
        return took

    least = min(_LEAST * batch, total)
    for side in models:
        turn(side, least, 1)  # compiles
    affordable = int(least * seconds / _TURNS / turn("plain", least, 1))
    count = min(max(affordable, least), total)
    epochs = min(max(affordable // count, 1), save_every)
    small = rounds(0, min(batch, total), 1)
    fixed = statistics.median(ours - plain for ours, plain in zip(small["ours"], small["plain"], strict=True))
    took = rounds(seconds, count, epochs)
    return Speed(job, count * epochs, total * save_every, max(fixed, 0), tuple(took["ours"]), tuple(took["plain"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="the jobs; all by default")
    parser.add_argument("--seconds", type=float, default=25.0, help="seconds per job, for both sides together")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.jobs if name not in JOBS]:
        parser.error(f"there is no job {', '.join(unknown)}; there are: {', '.join(JOBS)}")
    heads = (
        "job",
        "batch",
        "examples of a turn",
        "rounds",
        "ours, examples/s",
        "`model.fit`, examples/s",
        "ratio",
    )
    rows: list[tuple[str, ...]] = [heads, ("---", *["---:"] * (len(heads) - 1))]
    for name in arguments.jobs or JOBS:
        started = time.perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):  # Keras' loaders print their downloads
                speed = measure(find(name), arguments.seconds)
        except (JobError, RegistryError) as error:
            print(f"{name}: not measured, {error}", file=sys.stderr, flush=True)
            continue
        rows.append(speed.cells())
        print(f"{name}: {speed.ratio:.2f}, after {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        keras.backend.clear_session()
        gc.collect()
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
