"""A PostgreSQL server for tests, from Debian's binaries."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import free_port


def binaries() -> Path:
    """Find the folder of initdb and pg_ctl. .ci/packages names their Debian package."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql")
    return folders[-1]


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run a server and yield its postgresql:// address. PostgreSQL refuses root, so the user "nobody" runs it."""
    folder, root = Path(tempfile.mkdtemp(prefix="postgres-")), os.geteuid() == 0
    user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if root else {}
    if root:
        shutil.chown(folder, "nobody")
    bin_, port, cluster = binaries(), free_port(), folder / "cluster"

    def call(*command: str | Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, **user)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stdout + done.stderr

    call(bin_ / "initdb", "--pgdata", cluster, "--username", "vitrine", "--auth", "trust", "--no-sync")
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    call(bin_ / "pg_ctl", "start", "--wait", "--pgdata", cluster, "--log", folder / "log", "--options", settings)
    try:
        yield f"postgresql://vitrine@127.0.0.1:{port}/postgres"
    finally:
        call(bin_ / "pg_ctl", "stop", "--wait", "--pgdata", cluster, "--mode", "immediate")
        shutil.rmtree(folder)
