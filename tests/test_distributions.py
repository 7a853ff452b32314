"""The wheel and the source distribution: their files, and what fresh environments with them run."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import serving
from tests.conftest import SHIPPED
from tests.programs import REPOSITORY, Program, free_port, model_server, shipped
from tests.sdks.environments import build

#: Nothing is imported from the repository, and modules are compiled once.
APART = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "", "COLUMNS": "200"}
PICTURE = "examples/ankle_boot.png"


def install(extra: str) -> str:
    return f"pip install 'vitrine-serving[{extra}]'"


def built(source: Path, target: Path, *formats: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", target, *formats]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if "No module named hatchling" in done.stderr:
        pytest.skip("hatchling is not installed; make setup installs it")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distributions")


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    built(REPOSITORY, folder, "-t", "wheel", "-t", "sdist")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, folder: Path) -> Path:
    """Install the wheel without extras in a fresh environment. Return the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True)
    _install(folder, str(wheel))
    return folder / "environment" / "bin"


@pytest.fixture(scope="module")
def with_model_server(environment: Path, wheel: Path, folder: Path) -> Path:
    """Add the extra model-server. Runs after the tests of ``environment``."""
    _install(folder, f"{wheel}[model-server]")
    return environment


def _install(folder: Path, what: str) -> None:
    lock = (REPOSITORY / "requirements" / "embedded-server.lock").read_text(encoding="utf-8")
    pins = folder / "pins.txt"
    pins.write_text("\n".join(line.removesuffix(" \\") for line in lock.splitlines() if "==" in line))
    python = folder / "environment" / "bin" / "python"
    options = ["--quiet", "--no-compile", "--retries=1", "--timeout=20", f"--constraint={pins}"]
    build("the distributions' test", [sys.executable, "-m", "pip", f"--python={python}", "install", *options, what])


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_the_wheel_has_all_files_of_the_packages_and_the_shipped_models(wheel: Path) -> None:
    expected = {
        file.relative_to(REPOSITORY).as_posix()
        for package in ("serving", "training")
        for file in (REPOSITORY / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert expected >= {"serving/py.typed", "training/py.typed", "serving/gateway/ui/index.html"}
    for model in SHIPPED:
        version = shipped(model)
        files = (file.relative_to(REPOSITORY) for file in version.rglob("*") if file.is_file())
        expected |= {f"serving/shipped/{file.as_posix()}" for file in files}
    expected |= {f"serving/shipped/{name}" for name in ("exports/models.config", PICTURE, "examples/cross.jpg")}
    files = contents(wheel)
    about = f"vitrine_serving-{serving.__version__}.dist-info"
    assert {name for name in files if not name.startswith(about)} == expected
    for name in ("LICENSE", "NOTICE"):
        assert files[f"{about}/licenses/{name}"] == (REPOSITORY / name).read_bytes()
    metadata = files[f"{about}/METADATA"].decode()
    assert "\nName: vitrine-serving\n" in metadata and "\nLicense-Expression: Apache-2.0 AND MIT\n" in metadata


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, folder: Path) -> None:
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    source = next(path for path in folder.iterdir() if path.is_dir() and (path / "pyproject.toml").is_file())
    built(source, folder / "again", "-t", "wheel")
    again = contents(folder / "again" / wheel.name)
    assert {name: hashlib.sha256(data).digest() for name, data in again.items()} == {
        name: hashlib.sha256(data).digest() for name, data in contents(wheel).items()
    }


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("pyproject.toml", r"^version = \"(.*)\"$"),
        ("CITATION.cff", r"^version: (.*)$"),
        ("compose.yaml", r"image: vitrine/[a-z-]+:(.*)$"),
        ("k8s/base/kustomization.yaml", r"newTag: (.*)$"),
        ("k8s/components/s3-exports/kustomization.yaml", r"newTag: (.*)$"),
        ("k8s/overlays/production/kustomization.yaml", r"newTag: (.*)$"),
        ("training/cli/kubernetes.py", r"vitrine/trainer.*:(.*?)\""),
    ],
)
def test_all_files_name_one_version(file: str, pattern: str) -> None:
    found = re.findall(pattern, (REPOSITORY / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(found) == {serving.__version__}


def run(environment: Path, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    program, *arguments = command.split()
    path = [str(environment / program), *arguments]
    return subprocess.run(path, cwd=folder, env=APART, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("vitrine --help", "Small Keras models from training job to HTTP answer."),
        ("vitrine --version", f"vitrine {serving.__version__}"),
        ("vitrine models", "fashion_cnn"),
        ("vitrine canary fashion_cnn", "fashion_cnn: version 3 is live"),
        ("vitrine keys create shop", "vt_"),
        ("vitrine k8s --help", "manifests"),
        ("vitrine train --list", "xo_mobilenet"),
        ("python -m serving.gateway --help", "--model-server"),
        ("python -m serving.artifacts.sync --help", "s3://"),
        ("python -m serving.tfs_api.stubs serving.tfs_api.messages", "class PredictRequest"),
    ],
)
def test_a_base_install_runs(command: str, output: str, environment: Path, tmp_path: Path) -> None:
    done = run(environment, tmp_path, command)
    assert done.returncode == 0, done.stderr
    assert output in done.stdout


OTHERS = [
    ("vitrine train sine_rnn", "vitrine train needs keras", "training"),
    ("vitrine study losses", "vitrine study needs matplotlib", "training"),
    ("vitrine sweep sine_rnn", "vitrine sweep needs keras", "training"),
    ("vitrine reproduce", "vitrine reproduce needs matplotlib", "training"),
    ("vitrine k8s job sine_rnn", "vitrine k8s needs yaml", "training"),
    ("python -m training sine_rnn", "vitrine train needs keras", "training"),
    ("python -m training.cli.main train sine_rnn", "vitrine train needs keras", "training"),
    ("python -m training.export.check a b", "training.export.check needs", "training"),
    ("vitrine score .", "vitrine score needs pyarrow", "scoring"),
    ("vitrine score . --on ray", "vitrine score --on ray needs ray", "ray"),
    ("vitrine models --exports s3://bucket/exports", "s3://bucket/exports needs fsspec", "object-store"),
    ("python -m serving.artifacts.sync gs://bucket/exports there", "gs://bucket/exports needs", "object-store"),
    ("python -m serving.sync s3://bucket/exports there", "s3://bucket/exports needs fsspec", "object-store"),
    ("python -m serving.gateway --rate-storage=redis://localhost", "redis://localhost needs redis", "redis"),
]


@pytest.mark.parametrize(
    ("command", "sentence", "extra"),
    [
        *OTHERS,
        ("vitrine up", "vitrine up needs onnxruntime", "model-server"),
        ("vitrine sign fashion_cnn 1 --key key.pem", "vitrine sign needs cryptography", "model-server"),
        ("vitrine-model-server --version", "vitrine-model-server needs grpc", "model-server"),
        ("python -m serving.model_server", "vitrine-model-server needs grpc", "model-server"),
        ("python -m serving.gateway --exports=.", "exports needs onnxruntime", "model-server"),
    ],
)
def test_a_base_install_names_the_extra(
    command: str, sentence: str, extra: str, environment: Path, tmp_path: Path
) -> None:
    _names_the_extra(run(environment, tmp_path, command), sentence, extra)


def _names_the_extra(done: subprocess.CompletedProcess[str], sentence: str, extra: str) -> None:
    assert done.returncode in (1, 2) and not done.stdout
    *earlier, last = done.stderr.splitlines()
    assert sentence in last and last.endswith(f", which is not installed: {install(extra)}")
    assert not earlier or "copied to it" in earlier[0], done.stderr


def test_gateway_and_client_of_a_base_install(environment: Path, exports: Path, tmp_path: Path) -> None:
    port = free_port()
    config = f"--models-config={exports / 'models.config'}"
    with model_server(exports) as address:
        command = [environment / "python", "-m", "serving.gateway", f"--port={port}", f"--model-server={address}"]
        gateway = Program([*map(str, command), config], env=APART, folder=tmp_path)
        try:
            gateway.wait_until(lambda: _is_ready(port))
            done = run(environment, REPOSITORY, f"vitrine predict {PICTURE} --url http://127.0.0.1:{port}")
        finally:
            assert gateway.stop() == 0
    assert done.returncode == 0 and "Ankle boot" in done.stdout, done.stderr


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def up(with_model_server: Path, tmp_path: Path) -> Iterator[Program]:
    command = [str(with_model_server / "vitrine"), "up", f"--port={free_port()}"]
    program = Program(command, env=APART, folder=tmp_path)
    try:
        program.wait_for("Commands to try", 60)
        yield program
    finally:
        assert program.stop(signal.SIGINT) == 0


def test_up_serves_the_shipped_models_in_any_folder(up: Program, tmp_path: Path) -> None:
    up.wait_for("sine_rnn:forecast")
    lines = re.findall(r"^  (curl .*)$", up.output, re.MULTILINE)
    answers = [subprocess.run(f"{line} -sf", shell=True, capture_output=True, text=True).stdout for line in lines]
    for answer, expected in zip(answers, ('"Ankle boot"', '"X"', '"mean"'), strict=True):
        assert expected in answer, up.output
    assert (tmp_path / ".vitrine" / "exports" / "models.config").is_file()


@pytest.mark.parametrize(
    ("command", "sentence", "extra"),
    [
        ("vitrine up --train-missing", "--train-missing needs keras", "training"),
        *(case for case in OTHERS if case[0].split()[1] in ("train", "score", "models")),
    ],
)
def test_with_the_model_server_the_other_extras_are_named(
    command: str, sentence: str, extra: str, with_model_server: Path, tmp_path: Path
) -> None:
    _names_the_extra(run(with_model_server, tmp_path, command), sentence, extra)
