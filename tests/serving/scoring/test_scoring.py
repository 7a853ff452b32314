"""vitrine score: the shipped models over folders and Parquet files, with an error for each unreadable row."""

import csv
import io
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from serving.scoring import inputs, parts
from serving.scoring.inputs import InputError
from serving.scoring.model import ScoringModel
from tests.programs import EXPORTS, REPOSITORY, Program, free_port, shipped
from tests.serving.gateway import served_models
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

BOOT = (REPOSITORY / "examples" / "ankle_boot.png").read_bytes()
COMMAND = [sys.executable, "-m", "serving.cli.main", "score"]


def vitrine(
    *arguments: object, command: list[str] = COMMAND, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    whole = [*command, *map(str, arguments), "--exports", str(EXPORTS)]
    return subprocess.run(whole, capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, **(env or {})})


def drawing(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((28, 28), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def model(name: str) -> ScoringModel:
    return ScoringModel.of(shipped(name))


def test_typicality_is_a_column_where_the_version_has_it(tmp_path: Path) -> None:
    served_models.shade(tmp_path, 1)
    served_models.shade(tmp_path, 2, assessed=True)
    old, new = (ScoringModel.of(tmp_path / "shade" / number).score(["a"], [picture(102)]) for number in "12")
    assert "typicality" not in old.column_names
    assert new.column("typicality").to_pylist() == pytest.approx([0.4])
    assert new.column("label").to_pylist() == old.column("label").to_pylist() == ["middle"]


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out" / "results.parquet"
    (folder / "more").mkdir(parents=True)
    (folder / "a.png").write_bytes(BOOT)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "more" / "c.PNG").write_bytes(BOOT)
    (folder / "notes.txt").write_text("not looked at")
    done = vitrine(folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "fashion_cnn version 3 over 3 rows" in done.stdout and "of which 1 could not be read" in done.stdout
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == ["a.png", "b.png", "more/c.PNG"]
    assert [row["label"] for row in rows] == ["Ankle boot", None, "Ankle boot"]
    assert rows[0]["error"] is None and sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert max(rows[0]["probabilities"], key=rows[0]["probabilities"].get) == "Ankle boot"
    assert "not a picture of a known format" in rows[1]["error"] and rows[1]["probabilities"] is None
    assert [path.name for path in out.parent.iterdir()] == ["results.parquet"]


def test_series_of_a_parquet_file(tmp_path: Path) -> None:
    ahead = [[9.0, 0.31, 0.58], [None, 0.31, 0.58], [math.nan, 0.31, 0.58]]
    histories = [[0.31, 0.58], *ahead, [0.1], None, [0.1, math.nan], [0.1, None], [None, 0.1]]
    path, out = tmp_path / "series.parquet", tmp_path / "results.parquet"
    pq.write_table(pa.table({"name": ["a"] * 9, "history": histories}), path, row_group_size=2)
    source = inputs.find(path, model("sine_rnn").card)
    scored = parts.score(model("sine_rnn"), source, out, lambda done: None, rows=3)
    rows = pq.read_table(out).to_pylist()
    assert (scored.rows, scored.errors) == (9, 5)
    assert [row["prediction"] for row in rows[:4]] == [pytest.approx(0.7932, abs=1e-3)] * 4
    assert [row["error"] and row["error"][:20] for row in rows] == [
        *[None] * 4,
        "a history must have ",
        "the list of numbers ",
        "a value is null, NaN",
        "the newest value is ",
        "a value is null; 2 v",
    ]
    assert [row["interpolated"] for row in rows] == [*[0] * 4, *[None] * 5]


def test_missing_values_are_interpolated_and_counted(tmp_path: Path) -> None:
    path, out = tmp_path / "series.parquet", tmp_path / "results.parquet"
    whole = [float(value) for value in range(400, 410)]
    pq.write_table(pa.table({"history": [whole, [*whole[:4], None, *whole[5:]], [math.nan, None, *whole[2:]]]}), path)
    parts.score(model("stock_rnn"), inputs.find(path, model("stock_rnn").card), out, lambda done: None)
    first, second, third = pq.read_table(out).to_pylist()
    assert first["prediction"] == second["prediction"]
    assert (first["interpolated"], second["interpolated"]) == (0, 1)
    assert third["error"] == "a value is null, NaN or infinite"


def test_the_gateway_reads_the_same_histories(served: Gateway) -> None:
    """Only the newest values count, as in the Parquet file above; here a window of four."""
    for history in ([1, 2, 3, 4], [9, 1, 2, 3, 4], [None, 1, 2, 3, 4]):
        response = served.http.post("/v1/models/trend:forecast", json={"history": history, "horizon": 1})
        assert response.json()["forecasts"][0]["mean"] == [5], response.text
        by_kserve = {"name": "a", "type": "univariate_time_series", "series": history, "frequency": "D"}
        document = {"model": "trend", "inputs": [by_kserve], "options": {"horizon": 1}}
        assert served.http.post("/v1/timeseries/forecast", json=document).status_code == 200
    assert served.http.post("/v1/models/trend:forecast", json={"history": [1, None, 3, 4], "horizon": 1}).is_error


def test_an_unsupported_format_is_named_in_its_row(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "results.parquet"
    folder.mkdir()
    (folder / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "b.png").write_bytes(BOOT)
    (folder / "c.tif").write_bytes(b"II*\0" + bytes(20))
    assert vitrine(folder, "--out", out).returncode == 0
    heic, png, tiff = pq.read_table(out).to_pylist()
    assert "HEIC" in heic["error"] and "convert it" in heic["error"]
    assert png["error"] is None and "TIFF" in tiff["error"]


def test_hidden_files_thumbnails_and_trash_are_skipped_and_counted(tmp_path: Path) -> None:
    folder, out = tmp_path / ".pictures", tmp_path / "results.parquet"  # a hidden folder that the user names is scored
    kept = ["a.png", "b.JFIF", "c.jpe", "more/d.png", "thumbnails.png", "trash.d/e.png"]
    left = [
        "._a.png", ".hidden.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/._a.png", "more/__MACOSX/x/a.png",
        "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/normal/a.png", ".Trash-1000/files/a.png", ".Trash/a.png",
        "$RECYCLE.BIN/S-1-5/a.png", "#recycle/a.png", "System Volume Information/a.png", ".@__thumb/a.png",
    ]  # fmt: skip
    others = ["Thumbs.db", "notes.txt", ".DS_Store", "desktop.ini"]
    for name in (*kept, *left, *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(BOOT if name in kept else b"")
    (folder / "folder.png").mkdir()
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "._a.png").write_bytes(b"")
    (empty / ".b.png").write_bytes(b"")
    done = vitrine(folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{len(left)} pictures were skipped" in done.stdout
    rows = pq.read_table(out).to_pylist()
    assert [(row["id"], row["label"]) for row in rows] == [(name, "Ankle boot") for name in sorted(kept)]
    with pytest.raises(InputError, match=r"has no picture.*but 2 hidden"):
        inputs.find(empty, model("fashion_cnn").card)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Such files are scored, to Parquet and CSV, and the run resumes."""
    folder = tmp_path / "L"
    (folder / os.fsdecode(b"m\xf6re")).mkdir(parents=True)
    names = [b"sch\xf6n.png", b"m\xf6re/a.png", "schön.png".encode(), b'b\n,".png']
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(BOOT)
    expected = ['b\n,".png', "m\\xf6re/a.png", "schön.png", "sch\\xf6n.png"]
    for out in (tmp_path / "r.parquet", tmp_path / "r.csv"):
        done = vitrine(folder, "--out", out)
        assert done.returncode == 0, done.stderr
    assert sorted(pq.read_table(tmp_path / "r.parquet")["id"].to_pylist()) == sorted(expected)
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["id"] for row in rows) == sorted(expected)
    assert {row["label"] for row in rows} == {"Ankle boot"}

    source = inputs.find(folder, model("fashion_cnn").card)
    out = tmp_path / "again.parquet"
    with pytest.raises(KeyboardInterrupt):
        parts.score(model("fashion_cnn"), source, out, interrupt_after(3), rows=1)
    progress: list[int] = []
    parts.score(model("fashion_cnn"), source, out, progress.append, rows=1)
    same = ["id", "error", "label"]  # probabilities differ in their last bits by the rows of a batch
    assert progress == [3, 4]
    assert pq.read_table(out, columns=same).equals(pq.read_table(tmp_path / "r.parquet", columns=same))


def interrupt_after(rows: int) -> Callable[[int], None]:
    def progress(done: int) -> None:
        if done > rows:
            raise KeyboardInterrupt

    return progress


def test_a_pipe_among_the_pictures_is_an_error_of_its_row(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("nowhere.png")
    source = inputs.find(tmp_path, model("fashion_cnn").card)
    (batch,) = source.batches(0, 2, 10)
    assert batch == (["a.png", "b.png"], [None, None])


def test_csv(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "results.csv"
    folder.mkdir()
    (folder / "a.png").write_bytes(BOOT)
    (folder / "b, c.png").write_bytes(b"no picture")
    assert vitrine(folder, "--out", out).returncode == 0
    with out.open(newline="", encoding="utf-8") as file:
        good, bad = csv.DictReader(file)
    labels = model("fashion_cnn").card.labels
    assert list(good) == ["id", "error", "label", *(f"probabilities.{label}" for label in labels), "typicality"]
    assert (good["id"], good["error"], good["label"]) == ("a.png", "", "Ankle boot")
    assert sum(float(good[f"probabilities.{label}"]) for label in labels) == pytest.approx(1, abs=1e-3)
    assert float(good["probabilities.Ankle boot"]) > 0.9
    assert (bad["id"], bad["label"], bad["probabilities.Bag"]) == ("b, c.png", "", "") and bad["error"]
    series = tmp_path / "series.parquet"
    pq.write_table(pa.table({"history": [[0.31, 0.58], [0.1]]}), series)
    assert vitrine(series, "--model", "sine_rnn", "--out", tmp_path / "s.CSV").returncode == 0
    lines = (tmp_path / "s.CSV").read_text().splitlines()
    assert lines[0] == '"id","error","prediction","typicality","interpolated"'
    assert lines[1].startswith("0,,0.79") and lines[2].endswith(",,,")
    table = pa.table({"vector": [[0.5, 1.0], None]})
    assert parts.flat(table)["vector"].to_pylist() == ["[0.5, 1.0]", None]


def test_an_unsupported_output_is_rejected_before_scoring(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(BOOT)
    for out in (tmp_path / "results.json", tmp_path / "results.csv.gz", tmp_path):
        refused = vitrine(tmp_path, "--out", out)
        assert refused.returncode == 1 and ".parquet or .csv is expected" in refused.stderr


def test_unusable_inputs_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "two.parquet"
    pq.write_table(pa.table({"a": [b"x"], "b": [b"y"], "n": [1], "words": [["0.31", "0.58"]]}), path)
    card = model("fashion_cnn").card
    with pytest.raises(InputError, match=r"found: a, b\. Choose with --column"):
        inputs.find(path, card)
    assert inputs.find(path, card, "b").columns == ("b",)
    with pytest.raises(InputError, match="one column of lists of numbers is expected; found: none"):
        inputs.find(path, model("sine_rnn").card)
    with pytest.raises(InputError, match="n is not a column of encoded pictures"):
        inputs.find(path, card, "n")
    with pytest.raises(InputError, match="has no picture"):
        inputs.find(tmp_path, card)
    with pytest.raises(InputError, match="a folder holds pictures"):
        inputs.find(tmp_path, model("sine_rnn").card)
    refused = vitrine(tmp_path / "nothing", "--model", "fashion_cnn")
    assert refused.returncode == 1 and "neither a folder nor" in refused.stderr and "Traceback" not in refused.stderr


def test_a_killed_run_resumes_with_the_same_output(tmp_path: Path) -> None:
    path, out = tmp_path / "pictures.parquet", tmp_path / "results.parquet"
    pq.write_table(pa.table({"image": [drawing(10 + row % 200) for row in range(700)]}), path)
    whole = tmp_path / "whole.parquet"
    source = inputs.find(path, model("fashion_cnn").card)
    parts.score(model("fashion_cnn"), source, whole, lambda done: None, rows=100)
    program = (
        "import sys, threading; from pathlib import Path\n"
        "from serving.scoring import inputs, parts; from serving.scoring.model import ScoringModel\n"
        "model = ScoringModel.of(Path(sys.argv[1])); source = inputs.find(Path(sys.argv[2]), model.card)\n"
        "def progress(done):\n"
        "    print(done, flush=True)\n"
        "    if done == 300: threading.Event().wait()\n"
        "parts.score(model, source, Path(sys.argv[3]), progress, rows=100)\n"
    )
    run = Program([sys.executable, "-c", program, str(shipped("fashion_cnn")), str(path), str(out)])
    run.wait_for("200")
    run.wait_for("300")
    run.stop(signal.SIGKILL)
    assert not out.exists()
    finished = sorted(tmp_path.glob("results.parquet.parts/*.parquet"))
    assert len(finished) >= 2
    before = {file: file.stat().st_mtime_ns for file in finished}
    progress: list[tuple[int, bool]] = []
    parts.score(
        model("fashion_cnn"),
        source,
        out,
        lambda done: progress.append((done, all(file.stat().st_mtime_ns == at for file, at in before.items()))),
        rows=100,
    )
    assert progress[0] == (100 * len(finished), True) and progress[-1] == (700, True)
    assert pq.read_table(out).equals(pq.read_table(whole))
    assert not (tmp_path / "results.parquet.parts").exists()


def test_ray_resumes_a_local_run_with_the_same_output(tmp_path: Path) -> None:
    """Ray's workers resume a run of this process, with the same output byte for byte."""
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


def test_ray_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    pq.write_table(pa.table({"history": [[0.1, 0.2]]}), path)
    arguments = [path, "--model", "sine_rnn", "--on", "ray", "--out", tmp_path / "results.parquet"]
    nobody = vitrine(*arguments, env={"RAY_ADDRESS": f"127.0.0.1:{free_port()}"})
    assert nobody.returncode == 1 and "there is no Ray cluster at 127.0.0.1:" in nobody.stderr
    program = "import sys; sys.modules['ray'] = None; from serving.cli.main import app; app()"
    without = [sys.executable, "-c", program, "score"]
    missing = vitrine(*arguments, command=without)
    assert missing.returncode == 1 and "pip install 'vitrine-serving[ray]'" in missing.stderr
    assert "Traceback" not in nobody.stderr + missing.stderr
