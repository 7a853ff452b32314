"""vitrine score: the shipped models over folders and Parquet files; what cannot be read is a row with its reason."""

import io
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from serving.score import inputs, parts
from serving.score.inputs import InputError
from serving.score.model import Model
from tests.programs import REPOSITORY, Program, free_port

EXPORTS = REPOSITORY / "exports"
BOOT = (REPOSITORY / "examples" / "ankle_boot.png").read_bytes()
COMMAND = [sys.executable, "-c", "from serving.score.cli import app; app()", "score"]


def vitrine(
    *arguments: object, command: list[str] = COMMAND, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    whole = [*command, *map(str, arguments), "--exports", str(EXPORTS)]
    return subprocess.run(whole, capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, **(env or {})})


def drawing(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((28, 28), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def model(name: str) -> Model:
    return Model.of(EXPORTS / name / "1")


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out" / "results.parquet"
    (folder / "more").mkdir(parents=True)
    (folder / "a.png").write_bytes(BOOT)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "more" / "c.PNG").write_bytes(BOOT)
    (folder / "notes.txt").write_text("not looked at")
    done = vitrine(folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "fashion_cnn version 1 over 3 rows" in done.stdout and "of which 1 could not be read" in done.stdout
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == ["a.png", "b.png", "more/c.PNG"]
    assert [row["label"] for row in rows] == ["Ankle boot", None, "Ankle boot"]
    assert rows[0]["error"] is None and sum(rows[0]["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert "not a picture of a known format" in rows[1]["error"] and rows[1]["probabilities"] is None
    assert [path.name for path in out.parent.iterdir()] == ["results.parquet"]


def test_series_of_a_parquet_file(tmp_path: Path) -> None:
    histories = [[0.31, 0.58], [9.0, 0.31, 0.58], [0.1], None, [0.1, math.nan]]
    path, out = tmp_path / "series.parquet", tmp_path / "results.parquet"
    pq.write_table(pa.table({"name": ["a"] * 5, "history": histories}), path, row_group_size=2)
    source = inputs.find(path, model("sine_rnn").card)
    scored = parts.score(model("sine_rnn"), source, out, lambda done: None, rows=3)
    rows = pq.read_table(out).to_pylist()
    assert (scored.rows, scored.errors) == (5, 3)
    assert rows[0]["prediction"] == rows[1]["prediction"] == pytest.approx(0.7932, abs=1e-3)
    assert [row["error"] and row["error"][:20] for row in rows] == [
        None,
        None,
        "a history has at lea",
        "there are no numbers",
        "a value is null, NaN",
    ]


def test_what_cannot_be_scored_says_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "two.parquet"
    pq.write_table(pa.table({"a": [b"x"], "b": [b"y"], "n": [1]}), path)
    card = model("fashion_cnn").card
    with pytest.raises(InputError, match="there are: a, b; name it: --column"):
        inputs.find(path, card)
    assert inputs.find(path, card, "b").columns == ("b",)
    with pytest.raises(InputError, match="n is no column of encoded pictures"):
        inputs.find(path, card, "n")
    with pytest.raises(InputError, match="there is no picture in"):
        inputs.find(tmp_path, card)
    with pytest.raises(InputError, match="a folder holds pictures"):
        inputs.find(tmp_path, model("sine_rnn").card)
    refused = vitrine(tmp_path / "nothing", "--model", "fashion_cnn")
    assert refused.returncode == 1 and "neither a folder nor" in refused.stderr and "Traceback" not in refused.stderr


def test_a_killed_run_goes_on_and_comes_to_the_same(tmp_path: Path) -> None:
    path, out = tmp_path / "pictures.parquet", tmp_path / "results.parquet"
    pq.write_table(pa.table({"image": [drawing(10 + row % 200) for row in range(700)]}), path)
    whole = tmp_path / "whole.parquet"
    source = inputs.find(path, model("fashion_cnn").card)
    parts.score(model("fashion_cnn"), source, whole, lambda done: None, rows=100)
    program = (
        "import sys, threading; from pathlib import Path\n"
        "from serving.score import inputs, parts; from serving.score.model import Model\n"
        "model = Model.of(Path(sys.argv[1])); source = inputs.find(Path(sys.argv[2]), model.card)\n"
        "def progress(done):\n"
        "    print(done, flush=True)\n"
        "    if done == 300: threading.Event().wait()\n"
        "parts.score(model, source, Path(sys.argv[3]), progress, rows=100)\n"
    )
    run = Program([sys.executable, "-c", program, str(EXPORTS / "fashion_cnn" / "1"), str(path), str(out)])
    run.wait_for("200")
    run.wait_for("300")
    run.stop(signal.SIGKILL)
    assert not out.exists()
    finished = sorted(tmp_path.glob("results.parquet.parts/*.parquet"))
    assert len(finished) >= 2
    before = {file: file.stat().st_mtime_ns for file in finished}
    seen: list[tuple[int, bool]] = []
    parts.score(
        model("fashion_cnn"),
        source,
        out,
        lambda done: seen.append((done, all(file.stat().st_mtime_ns == at for file, at in before.items()))),
        rows=100,
    )
    assert seen[0] == (100 * len(finished), True) and seen[-1] == (700, True)
    assert pq.read_table(out).equals(pq.read_table(whole))
    assert not (tmp_path / "results.parquet.parts").exists()


def test_on_ray_it_goes_on_and_comes_to_the_same(tmp_path: Path) -> None:
    """A run that was broken off here goes on on Ray's workers: the same file, byte for byte."""
    path, out, local = tmp_path / "series.parquet", tmp_path / "results.parquet", tmp_path / "local.parquet"
    histories = [[math.sin(row), math.sin(row + 0.3)] for row in range(2 * parts.ROWS)]
    pq.write_table(pa.table({"history": [*histories, None]}), path)
    sine = model("sine_rnn")
    source = inputs.find(path, sine.card)
    parts.score(sine, source, local, lambda done: None)

    class BrokenOff(Exception):
        pass

    def until_the_second_part(done: int) -> None:
        if done > parts.ROWS:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        parts.score(sine, source, out, until_the_second_part)
    assert [part.name for part in tmp_path.glob("results.parquet.parts/*.parquet")] == [f"{0:012}.parquet"]
    done = vitrine(path, "--model", "sine_rnn", "--on", "ray", "--workers", 2, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20,001 rows" in done.stdout and "1 could not be read" in done.stdout.replace("\n", " ")
    assert out.read_bytes() == local.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["local.parquet", "results.parquet", "series.parquet"]


def test_ray_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    pq.write_table(pa.table({"history": [[0.1, 0.2]]}), path)
    arguments = [path, "--model", "sine_rnn", "--on", "ray", "--out", tmp_path / "results.parquet"]
    nobody = vitrine(*arguments, env={"RAY_ADDRESS": f"127.0.0.1:{free_port()}"})
    assert nobody.returncode == 1 and "there is no Ray cluster at 127.0.0.1:" in nobody.stderr
    without = [COMMAND[0], "-c", f"import sys; sys.modules['ray'] = None; {COMMAND[2]}", *COMMAND[3:]]
    missing = vitrine(*arguments, command=without)
    assert missing.returncode == 1 and "pip install -e '.[ray]'" in missing.stderr
    assert "Traceback" not in nobody.stderr + missing.stderr
