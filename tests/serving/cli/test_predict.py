"""``vitrine predict``: files are read before the gateway is called."""

import subprocess
import sys
from pathlib import Path

from tests.programs import REPOSITORY, free_port


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.cli.main", "predict", f"--url=http://127.0.0.1:{free_port()}"]
    for path, problem in ((tmp_path / "no.png", "No such file or directory"), (tmp_path, "Is a directory")):
        done = subprocess.run([*command, path], capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 1
        assert done.stderr == f"{path} cannot be read ({problem}); a picture file is expected\n"
