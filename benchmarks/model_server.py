"""The embedded model server beside the engine inside it: Predict over gRPC and onnxruntime called directly, in one run.

    python -m benchmarks.model_server [--model exports/fashion_cnn] [--seconds 2] [--engine auto] [--rows 1,8,32,128]

Every answer is compared with the engine's. Two servers, one without and one with ``--enable_batching`` and the
parameters of BATCHING, take turns. Prints one row for each batch size, number of callers and server: the overhead is
the median time of a call less that of the engine alone, client included; CPU is the server's own for one call, which
other programs on the machine disturb least; the last column is calls a second over those of one caller. The callers
are a process of their own.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import uvloop

from serving import protos, tensors
from serving.model_server import prediction
from serving.model_server.loader import Loader
from serving.protos import predict_pb2
from tests.programs import Program, free_port, running

#: TensorFlow Serving's defaults but for the queue, which holds all callers.
BATCHING = "max_batch_size { value: 256 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 1000 }"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def request(rows: int) -> bytes:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "default"
    pictures = np.random.default_rng(0).integers(0, 256, (rows, 28, 28, 1), np.uint8)
    message.inputs["image"].CopyFrom(tensors.to_proto(pictures))
    return message.SerializeToString()


def direct(model: Path, rows: int, seconds: float) -> tuple[float, bytes]:
    """Median seconds of the engine alone, and its answer."""
    servable = Loader().load(max(model.iterdir(), key=lambda path: int(path.name)))
    message = predict_pb2.PredictRequest.FromString(request(rows))
    call = prediction.prepare(servable, message)
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        answer = servable.run(call)
        took.append(time.perf_counter() - started)
    return statistics.median(took), answer[0].tobytes()


def caller(port: int, rows: int, callers: int, seconds: float, expected: bytes, results: Any) -> None:
    """One process of callers; puts the seconds of every call."""
    data, right = request(rows), np.frombuffer(expected, np.float32)

    def check(answer: bytes) -> None:
        found = predict_pb2.PredictResponse.FromString(answer).outputs["probabilities"].tensor_content
        if found != expected and not np.allclose(np.frombuffer(found, np.float32), right, atol=1e-5):
            raise SystemExit("a wrong answer")

    async def many() -> list[float]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
            predict, took = channel.unary_unary(protos.PREDICT), []
            await predict(data)
            end = time.perf_counter() + seconds

            async def call() -> None:
                while (started := time.perf_counter()) < end:
                    answer = await predict(data)
                    took.append(time.perf_counter() - started)
                    check(answer)

            await asyncio.gather(*(call() for _ in range(callers)))
            return took

    def one() -> list[float]:
        with grpc.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
            predict, took = channel.unary_unary(protos.PREDICT), []
            predict(data)
            end = time.perf_counter() + seconds
            while (started := time.perf_counter()) < end:
                answer = predict(data)
                took.append(time.perf_counter() - started)
                check(answer)
            return took

    results.put(one() if callers == 1 else uvloop.run(many()))


def over_grpc(port: int, rows: int, callers: int, seconds: float, expected: bytes) -> list[float]:
    """Seconds of every call."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    worker = context.Process(target=caller, args=(port, rows, callers, seconds, expected, results))
    worker.start()
    took: list[float] = results.get(timeout=seconds + 60)
    worker.join()
    return took


def memory(pid: int) -> int:
    """Resident megabytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, user and system."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("exports/fashion_cnn"))
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rows", type=lambda text: [int(rows) for rows in text.split(",")], default=[1, 8, 32, 128])
    options = parser.parse_args()
    model, engine = options.model.absolute(), f"--engine={options.engine}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "batching.config"
        file.write_text(BATCHING)
        batching = ["--enable_batching", f"--batching_parameters_file={file}"]
        with serving(model, engine) as plain, serving(model, engine, *batching) as batched:
            print("batching  rows  callers  engine ms  call ms  overhead ms   p99 ms  CPU ms  calls/s   rows/s  × one")
            for rows in options.rows:
                alone, expected = direct(model, rows, options.seconds / 2)
                one: dict[str, float] = {}
                for callers in (1, 16):
                    for name, (program, port) in (("off", plain), ("on", batched)):
                        pid = program.process.pid
                        before = cpu_seconds(pid)
                        took = sorted(over_grpc(port, rows, callers, options.seconds, expected))
                        used = (cpu_seconds(pid) - before) / len(took)
                        median, late = statistics.median(took), took[int(len(took) * 0.99)]
                        rate = len(took) / options.seconds
                        one.setdefault(name, rate)
                        print(
                            f"{name:8} {rows:5} {callers:8} {alone * 1e3:10.3f} {median * 1e3:8.3f} "
                            f"{(median - alone) * 1e3:12.3f} {late * 1e3:8.2f} {used * 1e3:7.3f} {rate:8.0f} "
                            f"{rate * rows:8.0f} {rate / one[name]:6.2f}"
                        )


if __name__ == "__main__":
    main()
