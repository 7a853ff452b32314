"""Compare the gateway with other servers: rates, latencies, arrivals in time, processor time, memory and starts.

    python -m benchmarks.gateway [--peers onnxruntime,kserve,mlserver] [--seconds 3] [--publish]

Run it from the repository's root, on Linux (processor time and memory are read from /proc), on an otherwise idle
machine, with VITRINE_DATA set to post pictures of Fashion-MNIST's test set, else generated ones. It takes about ten
minutes, and some more to install peers on first use. benchmarks/README.md describes servers and loads.

The figures are saved as benchmarks/results/gateway.json. With --publish the table goes into docs/benchmarks.md and the
picture becomes docs/benchmarks.svg; --publish --from FILE does this again from saved figures. The exit code is 1 if a
response was wrong, or missing in a closed loop.
"""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import track

from benchmarks.gateway import figures, kinds, load, peers, picture, pictures, report, servers
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
ROUNDS = 3  # slices of a cell, so that servers share noise
WARM_UP = 0.3  # seconds before each slice
GIVEN_UP = 1.0  # seconds after which a request of an open loop is given up
RESULTS = Path("benchmarks/results/gateway.json")
PAGE = servers.REPOSITORY / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: vitrine bench --publish -->\n", "<!-- end of figures -->\n"
PICTURE = "![Rates, latencies, arrivals in time, processor time, memory and starts of each server](benchmarks.svg)"

console = Console(stderr=True)


def main() -> int:
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        result = report.Report.read(options.saved) if options.saved else measure(options)
    except KeyboardInterrupt:
        console.print("stopped; all servers have ended")
        return 130
    except servers.ServerError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    report.show(result, Console(width=None if sys.stdout.isatty() else 200))
    if not options.saved:
        result.write(RESULTS)
        console.print(f"saved as {RESULTS}", markup=False)
    if options.publish:
        publish(result, PAGE)
        console.print(f"published in {PAGE.relative_to(servers.REPOSITORY)}", markup=False)
    return 0 if result.clean else 1


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers",
        type=lambda names: [name for name in names.split(",") if name],
        default=["onnxruntime", "kserve", "mlserver"],
        help=f"servers of other projects, installed on first use: {','.join(peers.PEERS)}; '' for none",
    )
    parser.add_argument("--baseline", type=Path, help="a checkout of another commit, measured beside this one")
    parser.add_argument("--servers", nargs="+", default=[""], help="only servers whose name contains one of these")
    parser.add_argument("--loads", nargs="+", default=[""], help="only loads whose title contains one of these")
    parser.add_argument("--seconds", type=float, default=3.0, help=f"for each cell, in {ROUNDS} slices")
    parser.add_argument("--publish", action="store_true", help="write table and picture into docs")
    parser.add_argument("--from", type=Path, dest="saved", metavar="FILE", help="saved figures, instead of a run")
    options = parser.parse_args(line)
    unknown = set(options.peers) - peers.PEERS.keys()
    if unknown:
        parser.error(f"--peers: there is no {', '.join(sorted(unknown))}. Known are {', '.join(peers.PEERS)}.")
    if options.seconds <= 0:
        parser.error(f"--seconds is {options.seconds:g}. Give a positive number.")
    if options.saved and not options.saved.is_file():
        parser.error(f"--from: {options.saved} does not exist.")
    return options


def measure(options: argparse.Namespace) -> report.Report:
    """Start all servers, measure each under each load in turns, and stop them.

    Raises:
        ServerError: One of the project's own servers did not start, or no server or load is chosen.
    """
    exports = servers.REPOSITORY / "exports"
    version = ModelRegistry(exports).live(MODEL)
    if version is None:
        raise servers.ServerError(f"{exports} has no version of {MODEL}. Train it first.")
    machine = report.machine()
    asked, origin = pictures.load(exports / MODEL / str(version), 1000)
    questions = kinds.kinds(exports / MODEL / str(version), asked)
    chosen, absent = _chosen(options, exports, exports / MODEL / str(version))
    loads = [one for one in figures.LOADS if any(part in one.title for part in options.loads)]
    with ExitStack() as stack:
        running = {}
        for server in track(chosen, "cold starts", console=console):
            try:
                running[server.name] = stack.enter_context(servers.running(server, asked[0]))
            except servers.ServerError as error:
                if server.name.startswith("Vitrine"):
                    raise
                absent[server.name] = str(error)
        if not running or not loads:
            raise servers.ServerError("No server or no load is chosen. Check --servers and --loads.")
        for one in running.values():
            one.pause()
        senders = {kind: stack.enter_context(load.running(of_kind)) for kind, of_kind in questions.items()}
        cells: dict[str, dict[str, figures.Cell]] = {name: {} for name in running}
        plan = list(figures.schedule(list(running), loads, ROUNDS))
        for name, one_load in track(plan, "under load", console=console):
            if one_load.kind in running[name].server.kinds:
                cell = cells[name].setdefault(one_load.title, figures.Cell())
                _slice(running[name], senders, one_load, options.seconds / ROUNDS, cell)
        memory = {name: one.memory() for name, one in running.items()}
    return report.Report(
        machine=machine,
        setting={"version": version, "pictures": len(asked), "origin": origin, "seconds": options.seconds},
        cells={name: {title: figures.figures(cell) for title, cell in row.items()} for name, row in cells.items()},
        memory=memory,
        cold_start={name: one.cold_start for name, one in running.items()},
        absent=absent,
    )


def _chosen(
    options: argparse.Namespace, exports: Path, version_directory: Path
) -> tuple[list[servers.Server], dict[str, str]]:
    found = servers.servers(exports, MODEL, options.baseline and options.baseline.resolve())
    absent = {}
    for name in options.peers:
        try:
            found += peers.servers(name, version_directory, console.print)
        except servers.ServerError as error:
            absent[peers.PEERS[name].title] = str(error)
    return [server for server in found if any(part in server.name for part in options.servers)], absent


def _slice(
    running: servers.Running,
    senders: Mapping[str, load.Sender],
    chosen: figures.Load,
    seconds: float,
    cell: figures.Cell,
) -> None:
    """Measure a server once under a load. The warm-up also waits for what it still has to answer."""
    sender, target = senders[chosen.kind], running.server.target
    running.resume()
    warm_up = sender.apply(target, chosen.callers or 16, WARM_UP)
    before = running.cpu()
    if chosen.rate:
        piece = sender.arrive(target, [(chosen.rate, seconds)], GIVEN_UP)
        cell.add(piece, running.cpu() - before, warm_up)
    else:
        cell.add(sender.apply(target, chosen.callers, seconds), running.cpu() - before, warm_up)
    running.pause()


def publish(result: report.Report, page: Path) -> None:
    """Put the table between the marks of the page, and the picture beside it."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} lacks the line {BEGIN.strip()} or {END.strip()}. Restore both.")
    page.write_text(f"{before}{BEGIN}\n{PICTURE}\n\n{report.markdown(result)}\n{END}{after}")
    page.with_suffix(".svg").write_text(picture.svg(result))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Also where a shell started the program in the background, with Ctrl-C ignored."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
