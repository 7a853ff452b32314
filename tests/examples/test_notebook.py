"""The notebook runs from top to bottom, and is committed without outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.programs import REPOSITORY
from tests.serving.gateway.programs import embedded_gateway, wait_until_ready

NOTEBOOK = REPOSITORY / "examples/vitrine.ipynb"
MODELS = ("fashion_cnn", "fashion_embedding", "fashion_metric", "stock_rnn")
FIGURES = 5


def code() -> list[dict[str, object]]:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["metadata"]["kernelspec"]["name"]) == (4, "python3")
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


def test_it_has_no_outputs() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code())


def test_it_runs(exports: Path, tmp_path: Path) -> None:
    cells = ["".join(map(str, cell["source"])) for cell in code()]  # type: ignore[call-overload]
    program = tmp_path / "notebook.py"
    program.write_text("\n".join([*cells, f"assert len(plt.get_fignums()) == {FIGURES}"]), encoding="utf-8")
    with embedded_gateway(exports) as gateway:
        wait_until_ready(gateway, *MODELS)
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "Agg", "VITRINE_URL": gateway.url}
        # Jupyter runs a notebook in its own folder.
        command = [sys.executable, "-W", "error::DeprecationWarning:__main__", str(program)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=NOTEBOOK.parent, env=env, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Ankle boot, 99.6%" in done.stdout and "200 pictures, 64 values each" in done.stdout
