"""Send broken input to every decoder and print a table.

    python -m tests.faults.fuzz [--seed 1] [--inputs 20000] [DECODER …]
    python -m tests.faults.fuzz --guided [--seconds 60] [DECODER …]

The first form changes valid inputs at random. The second one is guided by coverage and needs the package atheris
(``make chaos`` installs it). The exit code is 1 if a decoder raises an undocumented error.
"""

import argparse
import contextlib
import functools
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.table import table

if TYPE_CHECKING:
    from tests.faults.decoders import FuzzedDecoder

_GUIDED = ("-max_len=8192", "-timeout=10", "-rss_limit_mb=4096", "-close_fd_mask=1")
_TOKENS = (b"\x00", b"\xff" * 4, b"-1", b"1e999", b"NaN", b"\r\n", b'"', b"[", b"]", b"{", b"}", b",", b"%", b"\\ud800")
_LONGEST = 65_536  # bytes of a changed input


@dataclass(frozen=True)
class FuzzResult:
    """The outcome of the inputs to one decoder. ``defect`` is the first undocumented error."""

    decoder: str
    inputs: int
    accepted: int | None = None
    slowest: float | None = None
    coverage: int | None = None
    defect: str = ""


def changed(seeds: list[bytes], generator: random.Random) -> bytes:
    """Return a valid input with a few random changes."""
    data = bytearray(generator.choice(seeds))
    for _ in range(generator.choice((1, 1, 2, 4, 8))):
        at, end = sorted(generator.randrange(len(data) + 1) for _ in range(2))
        end = min(end, at + generator.choice((1, 4, 64, 4096)))
        match generator.randrange(6):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << generator.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = generator.choice(_TOKENS)
            case 3:
                data[at:at] = data[at:end] * generator.choice((1, 2, 16))
            case 4:
                data[at:end] = generator.randbytes(end - at)
            case 5:
                other = generator.choice(seeds)
                data[at:] = other[generator.randrange(len(other) + 1) :]
        del data[_LONGEST:]
    return bytes(data)


def at_random(decoder: "FuzzedDecoder", seed: int, inputs: int) -> FuzzResult:
    """Decode changed inputs from a seed, up to the first defect."""
    generator = random.Random(f"{seed} {decoder.name}")
    accepted, slowest = 0, 0.0
    for number in range(1, inputs + 1):
        data = changed(list(decoder.seeds), generator)
        started = time.perf_counter()
        try:
            decoder.decode(data)
            accepted += 1
        except decoder.errors:
            pass
        except Exception:
            return FuzzResult(decoder.name, number, accepted, slowest, defect=f"{traceback.format_exc()}{data!r}")
        slowest = max(slowest, time.perf_counter() - started)
    return FuzzResult(decoder.name, inputs, accepted, slowest)


def guided(name: str, seconds: int) -> FuzzResult:
    """Run libFuzzer on one decoder in its own process, up to the first defect."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.faults.fuzz", "--inside", folder, "--seconds", str(seconds), name]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        crashes = [path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()]
    runs = re.findall(r"^(?:Done |#)(\d+)", done.stderr, re.MULTILINE)
    coverage = re.findall(r" cov: (\d+)", done.stderr)
    if not coverage:
        raise SystemExit(f"libFuzzer did not start: {done.stderr[-2000:]}")
    defect = f"{done.stderr[-4000:]}{crashes}" if done.returncode else ""
    return FuzzResult(name, int(runs[-1]), coverage=int(coverage[-1]), defect=defect)


def _run_libfuzzer(name: str, seconds: int, folder: Path) -> None:
    """Fuzz until the time is up; libFuzzer then ends the process."""
    import atheris  # type: ignore[import-untyped]  # `make chaos` installs it

    with atheris.instrument_imports(include=["serving"]):
        from tests.faults import decoders

    decoder = decoders.decoders()[name]
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(decoder.seeds):
        (corpus / str(number)).write_bytes(seed)

    def decode(data: bytes) -> None:
        with contextlib.suppress(*decoder.errors):
            decoder.decode(data)

    options = [*_GUIDED, f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], decode)
    atheris.Fuzz()


def _rows(results: list[FuzzResult]) -> Iterator[tuple[object, ...]]:
    for one in results:
        accepted = "" if one.accepted is None else f"{one.accepted / one.inputs:.0%}"
        slowest = "" if one.slowest is None else f"{one.slowest * 1000:.0f}"
        coverage = "" if one.coverage is None else one.coverage
        yield one.decoder, one.inputs, accepted, slowest, coverage, "yes" if one.defect else "none"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("decoders", nargs="*", metavar="DECODER", help="all, if none is named")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=20_000, help="inputs to each decoder")
    parser.add_argument("--guided", action="store_true", help="let coverage guide the changes")
    parser.add_argument("--seconds", type=int, default=60, help="time of each decoder with --guided")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        _run_libfuzzer(options.decoders[0], options.seconds, options.inside)
    from tests.faults.decoders import decoders

    found = decoders()
    unknown = set(options.decoders) - found.keys()
    if unknown:
        parser.error(f"no decoder {', '.join(sorted(unknown))}; there are: {', '.join(found)}")
    run = functools.partial(at_random, seed=options.seed, inputs=options.inputs)
    names = options.decoders or list(found)
    results = [guided(name, options.seconds) if options.guided else run(found[name]) for name in names]
    print(table(("decoder", "inputs", "accepted", "slowest ms", "branches reached", "defects"), _rows(results)))
    for one in results:
        if one.defect:
            print(f"{one.decoder}: {one.defect}", file=sys.stderr)
    return int(any(one.defect for one in results))


if __name__ == "__main__":
    sys.exit(main())
