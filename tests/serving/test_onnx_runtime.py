"""onnxruntime's telemetry is off."""

import os
import subprocess
import sys
from pathlib import Path

from tests.programs import REPOSITORY
from tests.serving.model_server import versions

RUN = "from serving.onnx_runtime import onnxruntime; onnxruntime.InferenceSession('{}')"


def test_no_device_id_is_stored(tmp_path: Path) -> None:
    """With telemetry a session stores a device id below the home folder, or reports that it cannot."""
    model = versions.write(tmp_path / "line" / "1") / "assets.extra" / "model.onnx"
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    ended = subprocess.run(
        [sys.executable, "-c", RUN.format(model)],
        cwd=REPOSITORY,
        env=environment | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(home.iterdir()) == []
