"""Build the Dockerfile's targets without Docker: with buildah, on base images from debootstrap.

The base images have the names of the real ones, and the same Debian release with Python 3.11. The Python image replaces
TensorFlow Serving's, so the tests show only that our layer on it builds, not that it runs.
"""

import configparser
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.programs import REPOSITORY

PYTHON = "localhost/python:3.11-slim-bookworm"
DISTROLESS = "localhost/distroless/python3-debian12:nonroot"
TENSORFLOW_SERVING = "localhost/tensorflow/serving:2.21.0"

# Like Debian's slim images, without documentation and translations.
_PYTHON = """\
FROM scratch
COPY . /
RUN apt-get update -q && apt-get install -y -q --no-install-recommends python3 python3-pip \\
 && ln -s python3 /usr/bin/python && rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED \\
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info
"""

# Like the real one: the files of these packages, without a shell and a package manager.
_DISTROLESS = """\
FROM {python} AS packages
RUN apt-get update -q && mkdir /debs /rootfs && cd /debs \\
 && apt-get download -q base-files ca-certificates netbase tzdata \\
    libc6 libssl3 libgcc-s1 libstdc++6 libgomp1 libbz2-1.0 libcrypt1 libdb5.3 libexpat1 libffi8 liblzma5 \\
    libncursesw6 libnsl2 libreadline8 libsqlite3-0 libtinfo6 libtirpc3 libuuid1 zlib1g \\
    libpython3.11-minimal libpython3.11-stdlib python3.11-minimal \\
 && for deb in *.deb; do dpkg -x "$deb" /rootfs; done && cp -a /etc/ssl /rootfs/etc/ \\
 && rm -rf /rootfs/usr/share/doc /rootfs/usr/share/man
FROM scratch
COPY --from=packages /rootfs /
"""


@dataclass(frozen=True)
class Builder:
    """Builds images in a store below ``folder``. Call :meth:`remove` at the end."""

    folder: Path

    def make_bases(self) -> None:
        """Build Debian bookworm with Python, with the names of the Dockerfile's base images."""
        debian = self.folder / "debian"
        run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", debian])
        for tag, text in ((PYTHON, _PYTHON), (DISTROLESS, _DISTROLESS.format(python=PYTHON))):
            recipe = self.folder / "Base"
            recipe.write_text(text)
            self.build(debian, recipe, tag)
        for tag in (TENSORFLOW_SERVING, f"{TENSORFLOW_SERVING}-gpu"):
            self._buildah("tag", PYTHON, tag)

    def build(self, context: Path, recipe: Path, tag: str, *options: str) -> None:
        self._buildah(
            "build", "--format=docker", "--isolation=chroot", "--pull-never", "--layers",
            f"--signature-policy={self._policy()}",
            *(f"--volume={path}:{path}:ro" for path in _host_folders()), f"--volume={self._pip()}:/etc/pip.conf:ro",
            f"--tag={tag}", f"--file={recipe}", *options, str(context),
        )  # fmt: skip

    def target(self, name: str) -> str:
        """Build one target of the Dockerfile and return its tag."""
        tag = f"localhost/vitrine-{name}"
        self.build(
            REPOSITORY, REPOSITORY / "Dockerfile", tag, f"--target={name}", f"--build-arg=PYTHON={PYTHON}",
            f"--build-arg=DISTROLESS={DISTROLESS}",
            f"--build-arg=TENSORFLOW_SERVING={TENSORFLOW_SERVING}",
            f"--build-arg=TENSORFLOW_SERVING_GPU={TENSORFLOW_SERVING}-gpu",
        )  # fmt: skip
        return tag

    def config(self, tag: str) -> dict[str, Any]:
        """Return an image's configuration: User, Entrypoint, Cmd, Env, Labels, Healthcheck, ExposedPorts."""
        described = json.loads(self._buildah("inspect", "--type=image", tag))
        return dict(described["Docker"]["config"])

    def mount(self, tag: str) -> Path:
        """Mount the root file system of a new container of an image and return its path."""
        container = self._buildah("from", "--pull-never", f"--signature-policy={self._policy()}", tag).strip()
        return Path(self._buildah("mount", container).strip())

    def remove(self) -> None:
        """Remove all containers and images, and unmount them."""
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")

    def _buildah(self, *arguments: str) -> str:
        storage = ("--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"))
        return run(["buildah", *storage, "--storage-driver=overlay", *arguments])

    def _policy(self) -> Path:
        path = self.folder / "policy.json"
        path.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return path

    def _pip(self) -> Path:
        """Write the settings of this machine's pip (registries, certificates) to a file for the builds."""
        path = self.folder / "pip.conf"
        settings = configparser.ConfigParser(interpolation=None)
        settings["global"] = _pip_settings()
        with path.open("w") as file:
            settings.write(file)
        return path


def _pip_settings() -> dict[str, str]:
    lines = run(["python3", "-m", "pip", "config", "list"]).splitlines()
    pairs = (line.split("=", 1) for line in lines if line.startswith("global."))
    return {name.removeprefix("global."): value.strip("'").replace("\\n", "\n ") for name, value in pairs}


def _host_folders() -> list[str]:
    """List the folders of this machine that the builds read: certificates, and those of pip's settings."""
    words = " ".join(_pip_settings().values()).split()
    indexes = [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file:///")]
    named = [*indexes, *(Path(word) for word in words if word.startswith("/"))]
    return sorted({"/etc/ssl/certs", *(str(path if path.is_dir() else path.parent) for path in named if path.exists())})


def run(command: list[Any]) -> str:
    """Run a command and return its output. Raises AssertionError with the end of its output if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, f"{command[:4]} …\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
