"""Compare Predict over gRPC on the embedded model server with direct calls of its engine, onnxruntime.

    python -m benchmarks.model_server [--model exports/fashion_cnn] [--seconds 2] [--rows 1,8,32,128] [--awake]

Every response is compared with the engine's. Two servers take turns: one without and one with ``--enable_batching`` and
the parameters in BATCHING. It prints one row for each batch size, number of callers, client and server. The overhead is
the median time of a call, client included, minus that of the engine. CPU is the server's processor time per call, which
other programs disturb least. The last column is calls per second relative to one caller. The callers run in their own
process, with two clients: a lean one (``lean_client.py``), which adds little to the server's time, and grpcio, which
Python programs use.

A virtual machine may need .1 ms to wake a sleeping processor, several times per call with one caller. ``--awake`` keeps
all processors busy with threads of the lowest priority (Linux' SCHED_IDLE).
"""

import argparse
import asyncio
import contextlib
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import uvloop

from benchmarks import lean_client
from serving.model_server.core.loader import Loader
from serving.model_server.inference import predict, requests
from serving.tfs_api import messages, tensors
from serving.tfs_api.methods import PREDICT
from tests.programs import Program, free_port, running

#: TensorFlow Serving's defaults, except for a queue that holds all callers.
BATCHING = "max_batch_size { value: 256 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 1000 }"
HEADER = "client   batching  rows  callers  engine ms  call ms  overhead ms   p99 ms  CPU ms  calls/s   rows/s  × one"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def request(rows: int) -> bytes:
    message = messages.PredictRequest()
    message.model_spec.name = "default"
    pictures = np.random.default_rng(0).integers(0, 256, (rows, 28, 28, 1), np.uint8)
    message.inputs["image"].CopyFrom(tensors.to_proto(pictures))
    return message.SerializeToString()


def direct(model: Path, rows: int, seconds: float) -> tuple[float, bytes]:
    """Call the engine directly. Returns the median seconds of a call and the output."""
    servable = Loader().load(max(model.iterdir(), key=lambda path: int(path.name)))
    message = messages.PredictRequest.FromString(request(rows))
    inputs = requests.input_arrays(message.inputs)
    call = predict.prepare(servable, message.model_spec.signature_name, inputs)
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        answer = servable.run(call)
        took.append(time.perf_counter() - started)
    return statistics.median(took), answer[0].tobytes()


class Check:
    """Checks that responses have the engine's numbers. Caches the bytes of correct ones."""

    def __init__(self, expected: bytes) -> None:
        self._expected = np.frombuffer(expected, np.float32)
        self._right: set[bytes] = set()

    def __call__(self, answer: bytes) -> None:
        if answer not in self._right:
            found = messages.PredictResponse.FromString(answer).outputs["probabilities"].tensor_content
            np.testing.assert_allclose(np.frombuffer(found, np.float32), self._expected, atol=1e-5)
            self._right.add(answer)


def by_grpcio(port: int, data: bytes, check: Check, callers: int, seconds: float) -> list[float]:
    """Call with grpcio, blocking for one caller and with asyncio for more. Returns the seconds of each call."""

    def one() -> list[float]:
        with grpc.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
            predict, took = channel.unary_unary(PREDICT), []
            predict(data)
            end = time.perf_counter() + seconds
            while (started := time.perf_counter()) < end:
                answer = predict(data)
                took.append(time.perf_counter() - started)
                check(answer)
            return took

    async def many() -> list[float]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
            predict, took = channel.unary_unary(PREDICT), []
            await predict(data)
            end = time.perf_counter() + seconds

            async def call() -> None:
                while (started := time.perf_counter()) < end:
                    answer = await predict(data)
                    took.append(time.perf_counter() - started)
                    check(answer)

            await asyncio.gather(*(call() for _ in range(callers)))
            return took

    return one() if callers == 1 else uvloop.run(many())


def by_lean(port: int, data: bytes, check: Check, callers: int, seconds: float) -> list[float]:
    return lean_client.call(port, PREDICT, data, check, callers=callers, seconds=seconds)


CLIENTS = {"lean": by_lean, "grpcio": by_grpcio}


def call(client: str, port: int, rows: int, expected: bytes, callers: int, seconds: float) -> list[float]:
    return CLIENTS[client](port, request(rows), Check(expected), callers, seconds)


def measure(client: str, port: int, rows: int, expected: bytes, callers: int, seconds: float) -> list[float]:
    """Run the callers in their own process. Returns the seconds of each call."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(call, client, port, rows, expected, callers, seconds).result(seconds + 60)


def memory(pid: int) -> int:
    """Return the resident memory of a process in megabytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, user and system, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(model: Path, *flags: str) -> Iterator[tuple[Program, int]]:
    port = free_port()
    arguments = ["-m", "serving.model_server", f"--port={port}", f"--model_base_path={model}", *flags]
    started = time.perf_counter()
    with running(
        *arguments,
        "--enable_serialization_as_tensor_content",
        "--grpc_max_threads=200",
        ready="Running gRPC ModelServer",
    ) as program:
        print(f"cold start {time.perf_counter() - started:.2f} s, {memory(program.process.pid)} MB")
        yield program, port
        print(f"{memory(program.process.pid)} MB afterwards")


def spin() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keep all processors busy."""
    spinning = [
        multiprocessing.get_context("spawn").Process(target=spin, daemon=True) for _ in range(os.cpu_count() or 1)
    ]
    for process in spinning:
        process.start()
    try:
        yield
    finally:
        for process in spinning:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("exports/fashion_cnn"))
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rows", type=lambda text: [int(rows) for rows in text.split(",")], default=[1, 8, 32, 128])
    parser.add_argument("--clients", type=lambda text: text.split(","), default=list(CLIENTS))
    parser.add_argument("--awake", action="store_true")
    options = parser.parse_args()
    model, engine = options.model.absolute(), f"--engine={options.engine}"
    with tempfile.TemporaryDirectory() as folder, awake() if options.awake else contextlib.nullcontext():
        file = Path(folder) / "batching.config"
        file.write_text(BATCHING)
        batching = ["--enable_batching", f"--batching_parameters_file={file}"]
        with serving(model, engine) as plain, serving(model, engine, *batching) as batched:
            print(HEADER)
            for rows in options.rows:
                alone, expected = direct(model, rows, options.seconds / 2)
                one: dict[tuple[str, str], float] = {}
                for callers in (1, 16):
                    for client, (name, (program, port)) in itertools.product(
                        options.clients, (("off", plain), ("on", batched))
                    ):
                        pid = program.process.pid
                        before = cpu_seconds(pid)
                        took = sorted(measure(client, port, rows, expected, callers, options.seconds))
                        used = (cpu_seconds(pid) - before) / len(took)
                        median, late = statistics.median(took), took[int(len(took) * 0.99)]
                        rate = len(took) / options.seconds
                        print(
                            f"{client:8} {name:8} {rows:5} {callers:8} {alone * 1e3:10.3f} {median * 1e3:8.3f} "
                            f"{(median - alone) * 1e3:12.3f} {late * 1e3:8.2f} {used * 1e3:7.3f} {rate:8.0f} "
                            f"{rate * rows:8.0f} {rate / one.setdefault((client, name), rate):6.2f}"
                        )


if __name__ == "__main__":
    main()
