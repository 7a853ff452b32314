"""POST one 28×28 PNG, decode, classify with fashion_cnn, answer JSON: our gateway beside other servers, in one run.

    python -m benchmarks.gateway [--peers kserve,mlserver,litserve,bentoml,ray] [--seconds 4]
                                 [--concurrency 1 16 64 256] [--markdown]

Run it from the repository's root, on Linux (processor time and memory are read from /proc), with VITRINE_DATA set to
post pictures of Fashion-MNIST's test set, else generated ones. It takes about three minutes, with all peers about
eight and as long again to install them.

- **Vitrine**: the gateway with the engine in its process and all models of exports/, as ``vitrine up`` starts it; **2
  workers**: two such processes on one port; **two processes**: gateway → gRPC → embedded model server
- **baseline**: another checkout of this project by ``--baseline``, as two processes
- **FastAPI + Keras predict** and **FastAPI + onnxruntime**: everything in one process
- **peers**: servers of others by ``--peers``, each in an environment of its own, see ``peers.py``; one that cannot be
  installed or started is named with the reason, and the others go on
- **sketch**: no server for use but a yardstick, see ``benchmarks/peers/sketch.py``

Every answer is compared with the offline one for that very picture. All servers are up during the whole run and paused
(SIGSTOP) but for the one whose turn it is: some take processor time all along. What is saved under benchmarks/results/
has the figures of each round as well. The exit code is 1 where an answer was wrong or missing.
"""

import argparse
import datetime
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import track

from benchmarks.gateway import kinds, load, peers, pictures, report, servers
from benchmarks.gateway.figures import Cell, Figures, figures, schedule
from benchmarks.gateway.load import Target
from serving.artifacts.registry import ModelRegistry

MODEL = "fashion_cnn"
WARM_UP = 0.3  # seconds before each slice

console = Console(stderr=True)


def main() -> int:
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        result = measure(options)
    except KeyboardInterrupt:
        console.print("stopped; every server has been ended")
        return 130
    except servers.ServerError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    report.show(result, Console(width=None if sys.stdout.isatty() else 120))
    if options.markdown:
        print(report.markdown(result))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result.as_dict(), indent=1) + "\n")
    console.print(f"saved as {options.output}", markup=False)
    return 0 if result.clean else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in each cell, all rounds together")
    parser.add_argument("--rounds", type=int, default=4, help="slices that a cell is cut into, so that noise is shared")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--servers", nargs="+", default=[""], help="only those whose name holds one of these; ours too")
    parser.add_argument(
        "--peers",
        type=lambda names: [name for name in names.split(",") if name],
        default=[],
        help=f"servers of others, each installed on first use: {','.join(peers.PEERS)}",
    )
    parser.add_argument("--baseline", type=Path, help="a checkout of an earlier commit, to measure beside this one")
    parser.add_argument("--pictures", type=int, default=1000, help="at most so many different ones")
    parser.add_argument("--exports", type=Path, default=servers.REPOSITORY / "exports")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown too")
    today = datetime.datetime.now(datetime.UTC).date()
    parser.add_argument("--output", type=Path, default=Path(f"benchmarks/results/gateway-{today}.json"))
    options = parser.parse_args()
    unknown = set(options.peers) - peers.PEERS.keys()
    if unknown:
        parser.error(f"--peers: there is no {', '.join(sorted(unknown))}; there is {', '.join(peers.PEERS)}")
    return options


def measure(options: argparse.Namespace) -> report.Report:
    """The whole run.

    Raises:
        ServerError: a server of our own did not start.
    """
    exports = options.exports.resolve()
    version = ModelRegistry(exports).live(MODEL)
    if version is None:
        raise servers.ServerError(f"there is no version of {MODEL} in the exports: train it first")
    machine = report.machine()
    asked, origin = pictures.load(exports / MODEL / str(version), options.pictures)
    ours, *others = servers.servers(exports, MODEL, version, options.baseline and options.baseline.resolve())
    chosen = [ours, *(other for other in others if any(part in other.name for part in options.servers))]
    absent: dict[str, str] = {}
    for name in options.peers:
        try:
            chosen.append(peers.server(name, exports / MODEL / str(version), console.print))
        except servers.ServerError as error:
            absent[peers.PEERS[name].title] = str(error)
    with ExitStack() as stack:
        running = {}
        for server in track(chosen, "cold starts", console=console):
            try:
                running[server.name] = stack.enter_context(servers.running(server, asked[0]))
            except servers.ServerError as error:
                if server.name not in {peer.title for peer in peers.PEERS.values()}:
                    raise
                absent[server.name] = str(error)
        for one in running.values():
            one.pause()
        client = stack.enter_context(load.running(asked))
        cells = {name: {number: Cell() for number in options.concurrency} for name in running}
        plan = list(schedule(list(running), options.concurrency, options.rounds))
        for name, number in track(plan, "under load", console=console):
            target = running[name].server.target
            running[name].resume()
            warm_up = client.apply(target, number, WARM_UP)
            before = running[name].cpu()
            piece = client.apply(target, number, options.seconds / options.rounds)
            cells[name][number].add(piece, running[name].cpu() - before, warm_up)
            running[name].pause()
        others_cells = {}
        running[ours.name].resume()
        for kind in track(kinds.kinds(exports, asked), "other requests", console=console):
            others_cells[kind.title] = _of_kind(kind, running[ours.name], options)
        memory = {name: one.memory() for name, one in running.items()}
    return report.Report(
        machine=machine,
        setting={
            "model": MODEL,
            "version": version,
            "pictures": len(asked),
            "origin": origin,
            "seconds": options.seconds,
            "rounds": options.rounds,
        },
        cells={name: {number: figures(cell) for number, cell in row.items()} for name, row in cells.items()},
        memory=memory,
        cold_start={name: one.cold_start for name, one in running.items()},
        absent=absent,
        kinds=others_cells,
    )


def _of_kind(kind: kinds.Kind, ours: servers.Running, options: argparse.Namespace) -> dict[int, Figures]:
    target, rows = Target(ours.server.target.port, kind.path), {}
    with load.running(kind.questions) as client:
        for number in (1, 16):
            cell = Cell()
            warm_up = client.apply(target, number, WARM_UP)
            before = ours.cpu()
            cell.add(client.apply(target, number, options.seconds / 2), ours.cpu() - before, warm_up)
            rows[number] = figures(cell)
    return rows


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Also where a shell started us in the background, with Ctrl-C ignored."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
