"""A PostgreSQL server for tests, from Debian's binaries."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.programs import free_port
from tests.system_packages import require


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run a server and yield its postgresql:// address. PostgreSQL refuses root, so the user "nobody" runs it."""
    folder, root = Path(tempfile.mkdtemp(prefix="postgres-")), os.geteuid() == 0
    user = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if root else {}
    if root:
        shutil.chown(folder, "nobody")
    bin_, port, cluster = Path(require("postgresql")).parent, free_port(), folder / "cluster"

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
