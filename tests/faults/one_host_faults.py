"""The faults of one host, each under a steady load. Each function returns the rows of its phases."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from serving.artifacts.registry import ModelRegistry
from serving.gateway.http import keys_file
from tests import s3
from tests.faults.client import Figures
from tests.faults.damages import EVIDENT_DAMAGES, FILE_DAMAGES, VERSION_DAMAGES
from tests.faults.one_host import MODEL, OneHost, one_host, publish
from tests.programs import Program, free_port
from tests.serving.gateway import served_models
from tests.system_packages import require

_PUBLISHER = """
import sys
from pathlib import Path
from serving.artifacts.registry import ModelRegistry
from tests.serving.model_server import versions
registry = ModelRegistry(sys.argv[1], settle=0.2)
for _ in range(int(sys.argv[2])):
    with registry.staging("line") as directory:
        versions.write(directory, slope=1.0)
        number = registry.publish("line", directory)
    registry.promote("line", number)
    print(number, flush=True)
"""


def versions(root: Path, rate: float, requests: int, *, long: bool) -> list[Figures]:
    """Version changes, reloads of models.config, publishers at once, and a full disk."""
    with small_disk(root) as is_small:
        publish(root, 1)
        with one_host(root, rate=rate, requests=requests) as host:
            last = 60 if long else 5
            with host.phase(f"{last - 1} versions are published and promoted, and old ones removed"):
                for version in range(2, last + 1):
                    publish(root, version)
                    host.client.wait_for_version(version, count=3)
                    shutil.rmtree(root / MODEL / str(version - 1))
            with host.phase("a model comes into models.config and goes"):
                config = root / "models.config"
                before = config.read_text()
                served_models.line(root, 1)
                ModelRegistry(root, settle=0).promote("line", 1)
                path = "/v1/models/line:predict"
                row = {"instances": [[1.0, 2.0, 3.0]]}
                host.gateway.program.wait_until(lambda: host.gateway.http.post(path, json=row).status_code == 200)
                _replace(config, before)
                host.gateway.program.wait_until(lambda: host.gateway.http.post(path, json=row).status_code == 404)
            with host.phase("two publishers of one model at once"):
                count = 20 if long else 3
                command = [sys.executable, "-c", _PUBLISHER, str(root), str(count)]
                runs = [Program(command) for _ in range(2)]
                assert [run.process.wait(120) for run in runs] == [0, 0], runs[0].output + runs[1].output
                numbers = [int(line) for run in runs for line in _output(run).split()]
                assert sorted(numbers) == list(range(2, 2 + 2 * count))
            if is_small:
                with host.phase("the disk is full while a version is published"):
                    ballast = root / "ballast"
                    free = os.statvfs(root).f_bavail * os.statvfs(root).f_frsize
                    ballast.write_bytes(bytes(free - 4096))
                    with contextlib.suppress(OSError):
                        publish(root, last + 1)
                        raise AssertionError("the disk was not full")
                    ballast.unlink()
                    publish(root, last + 1)
                    host.client.wait_for_version(last + 1, count=3)
            return host.figures


def damaged_files(root: Path, rate: float, requests: int, *, long: bool) -> list[Figures]:
    """Each kind of damage to the version that becomes live, and to each file that the gateway reads again."""
    served_models.shade(root, 1)
    served_models.configure(root, {MODEL: {"stable": 1}})  # every version is loaded
    keys = root / "keys.json"
    _, key = keys_file.create(keys, "client")
    routing = root / "routing.json"
    routing.write_text("{}")
    with one_host(root, f"--keys={keys}", rate=rate, requests=requests, key=key) as host:
        kinds = list(VERSION_DAMAGES.values())[:: 1 if long else 3]
        damaged = dict(enumerate(kinds, start=2))
        with host.phase(f"the live label moves to a damaged version, {len(damaged)} kinds of damage"):
            for version, damage in damaged.items():
                served_models.shade(root / "drafts", version)
                damage(root / "drafts" / MODEL / str(version))
            for version in damaged:
                (root / "drafts" / MODEL / str(version)).rename(root / MODEL / str(version))
            for version in damaged:
                served_models.configure(root, {MODEL: {"stable": version}})
                host.wait_until_decided(version)
                host.client.wait_for_answers(3)
        version += 1
        publish(root, version)
        host.client.wait_for_version(version, count=3)
        for path in (root / "models.config", routing, keys):
            content = path.read_text()
            with host.phase(f"{path.name} is damaged, {len(EVIDENT_DAMAGES)} kinds of damage"):
                for damage in EVIDENT_DAMAGES.values():
                    damage(path)
                    host.client.wait_for_answers(10)
                    if path.is_dir():
                        path.rmdir()
                    _replace(path, content)
                    host.client.wait_for_answers(5)
        with host.phase("the files of the live version are damaged"):
            for damage in FILE_DAMAGES.values():
                for file in sorted((root / MODEL / str(version)).rglob("*.*")):
                    if file.is_file() and file.stat().st_size:
                        damage(file)
                host.client.wait_for_answers(5)
        return host.figures


def workers(root: Path, rate: float, requests: int, *, long: bool) -> list[Figures]:
    """A worker is killed or hangs."""
    publish(root, 1)
    with one_host(root, "--workers=2", rate=rate, requests=requests) as host:

        def pids() -> list[int]:
            found = re.findall(r"workers serve on port \d+: pids ([\d, ]+)", host.gateway.program.output)
            return [int(pid) for pid in found[-1].split(", ")]

        with host.phase("one of two workers is killed"):
            killed = pids()[0]
            os.kill(killed, signal.SIGKILL)
            host.gateway.program.wait_until(lambda: killed not in pids())
        with host.phase("one of two workers is frozen for a while"):
            frozen = pids()[0]
            os.kill(frozen, signal.SIGSTOP)
            try:
                host.client.wait_for_answers(requests // 2)
            finally:
                os.kill(frozen, signal.SIGCONT)
        if long:
            with host.phase("one of two workers hangs until it is killed"):
                frozen = pids()[0]
                os.kill(frozen, signal.SIGSTOP)
                host.gateway.program.wait_until(lambda: frozen not in pids(), 120)
        return host.figures


def redis(root: Path, rate: float, requests: int, *, long: bool) -> list[Figures]:
    """Redis, which counts the rates of several gateways, is away or hangs."""
    publish(root, 1)
    port = free_port()
    command = [require("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(root), "--save", ""]

    def started() -> Program:
        program = Program(command)
        program.wait_for("Ready to accept connections")
        return program

    server = started()
    try:
        flags = ("--rate=1000000/hour", f"--rate-storage=redis://127.0.0.1:{port}")
        with one_host(root, *flags, rate=rate, requests=requests) as host:

            def counts() -> bool:
                before = _uncounted(host)
                host.client.wait_for_answers(3)
                return _uncounted(host) == before

            with host.phase("Redis is killed and comes back"):
                server.stop(signal.SIGKILL)
                host.client.wait_for_answers(requests)
                assert _uncounted(host)
                server = started()
                host.gateway.program.wait_until(counts)
            with host.phase("Redis hangs and goes on"):
                before = _uncounted(host)
                server.process.send_signal(signal.SIGSTOP)
                host.client.wait_for_answers(requests)
                assert _uncounted(host) > before
                server.process.send_signal(signal.SIGCONT)
                host.gateway.program.wait_until(counts)
            return host.figures
    finally:
        server.process.kill()
        server.stop()


def object_store(root: Path, rate: float, requests: int, *, long: bool) -> list[Figures]:
    """The object store from which the sync sidecar copies versions is away."""
    with s3.server() as store:
        url = s3.exports()
        publish(url, 1)
        wire = s3.Wire(store)
        command = [sys.executable, "-m", "serving.artifacts.sync", url, str(root), "--interval=0.1"]
        sync = Program(command, {**s3.environment(wire.port), "AWS_MAX_ATTEMPTS": "1"})
        try:
            sync.wait_for("models.config has changed")
            with one_host(root, rate=rate, requests=requests) as host:
                with host.phase("the object store is away, a version is published, the store comes back"):
                    wire.close()
                    sync.wait_for("existing versions stay")
                    publish(url, 2)
                    host.client.wait_for_answers(requests)
                    wire = s3.Wire(store, own=wire.port)
                    host.client.wait_for_version(2, count=3)
                return host.figures
        finally:
            wire.close()
            sync.stop()


def clock(root: Path, rate: float, requests: int, *, long: bool) -> list[Figures]:
    """The clock of the gateway is set back; that of the publisher is not."""
    require("faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    publish(root, 1)
    time = root / "time"
    time.write_text("+0")
    env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(time),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    flags = (f"--rate={20 * rate:.0f}/minute",)  # a request must not count in the wrong minute
    with one_host(root, *flags, rate=rate, requests=requests, env=env) as host:
        for version, jump in enumerate(("-1h", "-2d"), start=2):
            with host.phase(f"the clock is set back ({jump}) and a version is published"):
                _replace(time, jump)
                publish(root, version)
                host.client.wait_for_version(version, count=3)
        return host.figures


SCENARIOS: dict[str, Callable[..., list[Figures]]] = {
    one.__name__: one for one in (versions, damaged_files, workers, redis, object_store, clock)
}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system on a folder, if the machine permits a mount."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _replace(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(content)
    draft.replace(path)


def _output(program: Program) -> str:
    program.stop()
    return program.output


def _uncounted(host: OneHost) -> float:
    page = host.gateway.http.get("/metrics").text
    found = re.search(r"^vitrine_uncounted_requests_total (\S+)", page, re.MULTILINE)
    return float(found[1]) if found else 0.0
