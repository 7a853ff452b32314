"""The Dockerfile's targets, built and run: as their user, on a read-only root, from what the image holds alone."""

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.builder import Builder
from tests.programs import REPOSITORY, Program, free_port

pytestmark = [
    # Minutes of downloads and of unpacking, so not with every run of the tests: `make test-images`.
    pytest.mark.skipif("VITRINE_IMAGES" not in os.environ, reason="make test-images builds and runs the images"),
    pytest.mark.skipif(os.geteuid() != 0, reason="images are built as root"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("buildah", "debootstrap", "unshare"))), reason="buildah and debootstrap are needed"
    ),
    pytest.mark.timeout(900),
]

#: Targets of gigabytes: VITRINE_IMAGES=all builds them too.
LARGE = ("trainer", "trainer-gpu") if os.environ.get("VITRINE_IMAGES") == "all" else ()
OURS = ("gateway", "embedded-server", "sync", *LARGE)
THEIRS = ("model-server", "model-server-gpu")
#: Megabytes, unpacked.
LARGEST = {"gateway": 250, "embedded-server": 330, "sync": 330, "trainer": 3_000, "trainer-gpu": 12_000}


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    builder = Builder(tmp_path_factory.mktemp("images"))
    builder.make_bases()
    try:
        yield builder
    finally:
        builder.remove()


@pytest.fixture(scope="module")
def roots(builder: Builder) -> dict[str, Path]:
    """Each of our images' root file systems."""
    return {name: builder.mount(builder.target(name)) for name in OURS}


@pytest.mark.parametrize("name", OURS)
def test_holds_what_it_needs_and_no_more(roots: dict[str, Path], name: str) -> None:
    size = int(subprocess.check_output(["du", "-smx", roots[name]], text=True).split()[0])
    assert size < LARGEST[name]
    packages = {path.name for path in (roots[name] / "opt/vitrine").iterdir()}
    assert "serving" in packages
    assert ("training" in packages) == name.startswith("trainer")
    if name in ("gateway", "embedded-server"):
        assert {path.suffix for path in (roots[name] / "opt/vitrine/tensorflow").rglob("*.*")} == {".py"}
    if not name.startswith("trainer"):
        assert not (roots[name] / "bin/sh").exists()


@pytest.mark.parametrize("name", [*OURS, *THEIRS])
def test_configuration(builder: Builder, name: str) -> None:
    config = builder.config(builder.target(name))
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"].startswith("Vitrine")
    assert name == "sync" or name.startswith("trainer") or config["Healthcheck"]["Test"][0] == "CMD"
    if name in THEIRS:
        assert config["Entrypoint"] == [
            "tensorflow_model_server"
        ]  # no shell between the kernel's signals and the server
        assert {"--num_load_threads=1", "--grpc_max_threads=200", "--enable_serialization_as_tensor_content=true"} <= {
            *config["Cmd"]
        }
        assert ("TF_ENABLE_ONEDNN_OPTS=0" in config["Env"]) == (name == "model-server")


@contextlib.contextmanager
def container(root: Path, command: list[str], binds: dict[Path, str]) -> Iterator[Program]:
    """The image's own program as its own user in a mount namespace: root read-only, /tmp writable."""
    for inside in ("/proc", "/tmp", "/dev", *binds.values()):
        (root / inside.lstrip("/")).mkdir(exist_ok=True)
    steps = [f"mount --bind {root} {root}"]
    steps += [f"mount --bind {outside} {root}{inside}" for outside, inside in binds.items()]
    steps += [f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc"]
    steps += [f"mount -t tmpfs tmpfs {root}/tmp", f"mount -o remount,bind,ro {root}"]
    steps += [f'exec chroot --userspec=10001:10001 {root} "$@"']
    program = Program(
        ["unshare", "--mount", "--propagation=private", "sh", "-ec", "\n".join(steps), "sh", *command],
        {"PYTHONPATH": "/opt/vitrine", "PYTHONDONTWRITEBYTECODE": "1", "VITRINE_INSECURE": "true"},
    )
    try:
        yield program
    finally:
        assert program.stop() == 0, program.output


def test_gateway_and_embedded_server_answer(builder: Builder, roots: dict[str, Path], exports: Path) -> None:
    grpc_port, http_port = free_port(), free_port()
    commands = {}
    for name in ("gateway", "embedded-server"):
        config = builder.config(builder.target(name))
        commands[name] = [*config["Entrypoint"], *config["Cmd"]]
    server = [*commands["embedded-server"], f"--port={grpc_port}", "--rest_api_port=0"]
    gateway = [*commands["gateway"], f"--port={http_port}", f"--model-server=127.0.0.1:{grpc_port}"]
    models = {exports: "/models"}
    address = f"http://127.0.0.1:{http_port}"

    def is_ready() -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{address}/readyz", timeout=2).status == 200
        return False

    with container(roots["embedded-server"], server, models), container(roots["gateway"], gateway, models) as running:
        running.wait_until(is_ready)
        request = urllib.request.Request(
            f"{address}/v1/models/fashion_cnn:predict",
            (REPOSITORY / "examples/ankle_boot.png").read_bytes(),
            {"Content-Type": "image/png"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert json.load(response)["predictions"][0]["label"] == "Ankle boot"
