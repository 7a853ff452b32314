"""Build the Dockerfile's targets and run them as their user, with a read-only root file system."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fsspec
import pytest

from serving.artifacts.backends.object_store import ObjectStoreBackend
from serving.artifacts.signing import Verifier
from serving.artifacts.sync import Sync
from tests import s3
from tests.container_images.builder import Builder, run
from tests.programs import REPOSITORY, Program, free_port
from tests.serving.artifacts.test_signing import key_pair
from training.deploy import kubernetes
from training.deploy.kubernetes import Trainer

pytestmark = [
    # Downloads and builds take minutes, so `make test` skips them.
    pytest.mark.skipif("VITRINE_IMAGES" not in os.environ, reason="make test-images builds and runs the images"),
    pytest.mark.skipif(os.geteuid() != 0, reason="images are built as root"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("buildah", "debootstrap", "unshare"))), reason="buildah and debootstrap are needed"
    ),
    pytest.mark.timeout(3600),
]

SMALL = ("server", "gateway", "embedded-server", "sync", "model-server", "model-server-gpu")
TRAINERS = ("trainer", "trainer-gpu")  # gigabytes
LARGE = (*TRAINERS, "ray-worker")
_CHOSEN = os.environ.get("VITRINE_IMAGES", "small")
#: Targets in VITRINE_IMAGES: small, all, or names separated by commas.
CHOSEN = {"small": SMALL, "all": (*SMALL, *LARGE)}.get(_CHOSEN) or tuple(_CHOSEN.split(","))
OURS = tuple(name for name in CHOSEN if not name.startswith("model-server"))
#: Megabytes, unpacked.
LARGEST = {
    "server": 400,
    "gateway": 270,
    "embedded-server": 330,
    "sync": 330,
    "trainer": 3_000,
    "trainer-gpu": 8_000,
    "ray-worker": 1_100,
}

Image = Callable[[str], str]
Root = Callable[[str], Path]


def chosen(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not {*names} <= {*CHOSEN}, reason=f"VITRINE_IMAGES={_CHOSEN} omits it")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    builder = Builder(tmp_path_factory.mktemp("images"))
    builder.make_bases()
    try:
        yield builder
    finally:
        builder.remove()


@pytest.fixture(scope="module")
def image(builder: Builder) -> Image:
    """Return a target's tag. The first use builds the image."""
    return cache(builder.target)


@pytest.fixture(scope="module")
def root(builder: Builder, image: Image) -> Root:
    """The root file system of a target's image."""
    return cache(lambda name: builder.mount(image(name)))


@pytest.mark.parametrize("name", OURS)
def test_size_and_content(root: Root, name: str) -> None:
    size = int(subprocess.check_output(["du", "-smx", root(name)], text=True).split()[0])
    print(f"{name}: {size} MB")
    assert size < LARGEST[name]
    packages = {path.name for path in (root(name) / "opt/vitrine").iterdir()}
    assert "serving" in packages
    assert ("training" in packages) == name.startswith("trainer")
    if not name.startswith("trainer"):
        assert not packages & {"tensorflow", "tensorflow_serving"}
        assert (root(name) / "bin/sh").exists() == (name in LARGE)


@pytest.mark.parametrize("name", CHOSEN)
def test_configuration(builder: Builder, image: Image, name: str) -> None:
    config = builder.config(image(name))
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.title"].startswith("Vitrine")
    assert name in ("sync", *LARGE) or config["Healthcheck"]["Test"][0] == "CMD"
    if name not in OURS:
        # No shell between the kernel's signals and the server.
        assert config["Entrypoint"] == ["tensorflow_model_server"]
        assert {"--num_load_threads=1", "--grpc_max_threads=200", "--enable_serialization_as_tensor_content=true"} <= {
            *config["Cmd"]
        }
        assert ("TF_ENABLE_ONEDNN_OPTS=0" in config["Env"]) == (name == "model-server")


@contextlib.contextmanager
def container(
    root: Path,
    config: dict[str, Any],
    arguments: list[str],
    binds: dict[Path, str],
    env: dict[str, str] | None = None,
    stopped: int = 0,
) -> Iterator[Program]:
    """Run an image's entry point in a mount namespace, with the image's user, folder and environment.

    The root file system is read-only, /tmp is writable, and ``binds`` maps folders to paths in the image. The exit code
    after SIGTERM must be ``stopped``.
    """
    for inside in ("/proc", "/tmp", "/dev", *binds.values()):
        (root / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
    steps = [f"mount --bind {root} {root}"]
    steps += [f"mount --bind {outside} {root}{inside}" for outside, inside in binds.items()]
    steps += [f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc"]
    steps += [f"mount -t tmpfs tmpfs {root}/tmp", f"mount -o remount,bind,ro {root}"]
    steps += ['exec env --ignore-environment "$@"']
    user, group = config["User"].split(":")
    variables = [*config["Env"], *(f"{name}={value}" for name, value in (env or {}).items())]
    inside_root = [f"--root={root}", f"--wd={config['WorkingDir'] or '/'}", f"--setuid={user}", f"--setgid={group}"]
    command = [*variables, "unshare", *inside_root, *config["Entrypoint"], *arguments]
    program = Program(["unshare", "--mount", "--propagation=private", "sh", "-ec", "\n".join(steps), "sh", *command])
    try:
        yield program
    finally:
        assert program.stop() == stopped, program.output


def answers(url: str) -> bool:
    """Whether the answer is 200."""
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=2).status == 200
    return False


@chosen("gateway", "embedded-server")
def test_gateway_and_embedded_server_answer(builder: Builder, image: Image, root: Root, exports: Path) -> None:
    grpc_port, http_port = free_port(), free_port()
    configs = {name: builder.config(image(name)) for name in ("gateway", "embedded-server")}
    server = [*configs["embedded-server"]["Cmd"], f"--port={grpc_port}", "--rest_api_port=0"]
    gateway = [*configs["gateway"]["Cmd"], f"--port={http_port}", f"--model-server=127.0.0.1:{grpc_port}"]
    models = {exports: "/models"}
    address = f"http://127.0.0.1:{http_port}"

    with (
        container(root("embedded-server"), configs["embedded-server"], server, models),
        container(root("gateway"), configs["gateway"], gateway, models, {"VITRINE_INSECURE": "true"}) as running,
    ):
        running.wait_until(lambda: answers(f"{address}/readyz"))
        request = urllib.request.Request(
            f"{address}/v1/models/fashion_cnn:predict",
            (REPOSITORY / "examples/ankle_boot.png").read_bytes(),
            {"Content-Type": "image/png"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert json.load(response)["predictions"][0]["label"] == "Ankle boot"


@chosen("server")
def test_server_answers_with_its_models_and_a_new_key(
    builder: Builder, image: Image, root: Root, tmp_path: Path
) -> None:
    config, port = builder.config(image("server")), free_port()
    os.chown(tmp_path, 10001, 10001)
    keys = {tmp_path: "/keys"}
    with container(root("server"), config, ["keys", "create", "me"], keys) as running:
        assert running.process.wait(60) == 0, running.output
    key = running.output.strip()
    with container(root("server"), config, [f"--port={port}"], keys) as running:
        running.wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/models/fashion_cnn:predict",
            (REPOSITORY / "examples/ankle_boot.png").read_bytes(),
            {"Content-Type": "image/png", "X-API-Key": key},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            assert json.load(response)["predictions"][0]["label"] == "Ankle boot"


@pytest.mark.parametrize("name", [name for name in OURS if name != "trainer-gpu"])
def test_every_package_has_a_wheel_for_arm(name: str, tmp_path: Path) -> None:
    """The Dockerfile installs from the same lock on arm64; Debian 12 has glibc 2.36."""
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(17, 37)]
    run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp"),
            *(*platforms, "--platform=manylinux2014_aarch64", f"--target={tmp_path}"),
            f"--requirement={REPOSITORY}/requirements/{name}.lock",
        ]
    )


@chosen("sync")
def test_sync_copies_versions(builder: Builder, image: Image, root: Root, exports: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    os.chown(volume, 10001, 10001)
    with s3.server() as port:
        source = s3.exports()
        fsspec.filesystem("s3", skip_instance_cache=True).put(f"{exports}/", source, recursive=True)
        arguments = [source, "/models", "--once"]
        env = s3.environment(port)
        with container(root("sync"), builder.config(image("sync")), arguments, {volume: "/models"}, env) as running:
            assert running.process.wait(60) == 0, running.output
    content = (volume / "fashion_cnn/1/saved_model.pb").read_bytes()
    assert content == (exports / "fashion_cnn/1/saved_model.pb").read_bytes()


@pytest.mark.parametrize("name", [name for name in TRAINERS if name in CHOSEN])
def test_a_training_job_publishes_a_signed_version(
    builder: Builder, image: Image, root: Root, tmp_path: Path, name: str
) -> None:
    """The arguments, variables and volumes are those of the Kubernetes manifest."""
    (work,) = kubernetes.job(
        "sine_rnn", ["--quick", "--force"], Trainer(f"vitrine/{name}:1", store="exports-store", signing="signing")
    )[-1:]
    pod = work["spec"]["template"]["spec"]["containers"][0]
    volumes = {mount["name"]: tmp_path / mount["name"] for mount in pod["volumeMounts"] if mount["name"] != "tmp"}
    for volume in volumes.values():
        volume.mkdir()
        os.chown(volume, 10001, 10001)
    private, public = key_pair(tmp_path)
    shutil.copy(private, volumes["signing"] / "signing.pem")
    binds = {volumes[mount["name"]]: mount["mountPath"] for mount in pod["volumeMounts"] if mount["name"] in volumes}
    with s3.server() as port:
        env = {one["name"]: one["value"] for one in pod["env"] if "value" in one} | s3.environment(port)
        env["EXPORTS"] = s3.exports()
        arguments = [argument.replace("$(EXPORTS)", env["EXPORTS"]) for argument in pod["args"]]
        with container(root(name), builder.config(image(name)), arguments, binds, env) as running:
            assert running.process.wait(600) == 0, running.output
        target = tmp_path / "models"
        target.mkdir()
        assert Sync(ObjectStoreBackend(env["EXPORTS"]), target, Verifier(public)).once()
    assert (target / "sine_rnn/1/saved_model.pb").is_file()


@chosen("ray-worker")
def test_ray_starts_as_kuberay_starts_it_and_scores(
    builder: Builder, image: Image, root: Root, exports: Path, tmp_path: Path
) -> None:
    """KubeRay runs `ray start` and `ray job submit` through bash, with a token, and probes the agent."""
    config = {**builder.config(image("ray-worker")), "Entrypoint": ["/bin/bash", "-c", "--"]}
    gcs, dashboard, agent, client = (free_port() for _ in range(4))
    start = (
        f"exec ray start --head --block --port={gcs} --ray-client-server-port={client} --num-cpus=2 "
        f"--dashboard-host=127.0.0.1 --dashboard-port={dashboard} --dashboard-agent-listen-port={agent} "
        "--object-store-memory=200000000"
    )
    score = "vitrine score /data/pictures --model fashion_cnn --exports /models --on ray --out /data/results.csv"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    shutil.copy(REPOSITORY / "examples/ankle_boot.png", pictures / "boot.png")
    os.chown(tmp_path, 10001, 10001)
    binds = {exports: "/models", tmp_path: "/data"}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    at_once = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}

    def is_healthy() -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{agent}/api/healthz", timeout=2).status == 200
        return False

    with container(root("ray-worker"), config, [start], binds, token | at_once, stopped=1) as head:
        head.wait_until(is_healthy, timeout=180)
        submit = f"ray job submit --address http://127.0.0.1:{dashboard} -- {score}"
        submitted = builder.mount(image("ray-worker"))  # a container of its own
        with container(submitted, config, [submit], {}, token) as submitter:
            assert submitter.process.wait(300) == 0, submitter.output
    assert '"boot.png",,"Ankle boot"' in (tmp_path / "results.csv").read_text()
