"""Files of the request log: names, both formats, the size limit of a folder, and an S3 server."""

import json
import os
from collections import deque
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from serving.gateway.observability.request_log.entry import Entry
from serving.gateway.observability.request_log.files import LogFiles
from serving.gateway.observability.request_log.settings import RequestLogSettings
from tests import s3
from tests.serving.gateway.observability.request_log.entries import entry


def write(target: str, *entries: Entry, **options: Any) -> LogFiles:
    files = LogFiles(RequestLogSettings(request_log=target, request_log_sample=0.25, **options))
    waiting = deque(entries)
    files.write(waiting)
    assert not waiting and not files.rejected
    return files


def test_json_lines(tmp_path: Path) -> None:
    kept = entry(request_id="r-2", body=b"\x89PNG", body_type="image/png", body_is_json=False, label="stable")
    write(str(tmp_path), entry(), kept, entry(event="feedback", answer=b"", version=None))
    (file,) = tmp_path.rglob("*.jsonl")
    assert file.parent.name == "date=2026-01-31" and file.name.startswith("20260131T120000Z-")
    first, second, third = map(json.loads, file.read_text().splitlines())
    assert first["time"] == "2026-01-31T12:00:00.250000+00:00" and first["sample"] == 0.25
    assert first["request"] == {"features": {"rooms": 3}} and first["answer"] == {"predictions": [3.0]}
    assert second["request"] == {"base64": "iVBORw==", "content_type": "image/png"} and second["label"] == "stable"
    assert second["request_type"] == "image/png"
    assert (third["event"], third["sample"], third["answer"], third["version"]) == ("feedback", 1, None, None)


def test_parquet_in_s3(s3_port: int) -> None:
    """Parquet files in an object store; the port is of a real S3 server."""
    del s3_port
    url = f"{s3.exports()}/log"
    write(url, entry(), entry(request_id="r-2", version=None), request_log_format="parquet")
    store = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    (name,) = store.find(url)
    assert "/log/date=2026-01-31/20260131T120000Z-" in name and name.endswith(".parquet")
    with store.open(name) as file:
        rows = pq.read_table(file).to_pylist()
    assert [(row["request_id"], row["version"]) for row in rows] == [("r-1", 2), ("r-2", None)]
    assert json.loads(rows[0]["request"]) == {"features": {"rooms": 3}}
    assert (rows[0]["time"].isoformat(), rows[0]["ms"]) == ("2026-01-31T12:00:00.250000+00:00", 1.5)


def test_a_folder_keeps_the_newest_files(tmp_path: Path) -> None:
    options = {"request_log_file_bytes": 2000, "request_log_disk_bytes": 2500}
    old = tmp_path / "date=2025-01-01"
    old.mkdir()
    (old / "20250101T000000Z-host-1-1.jsonl").write_bytes(b"x" * 900)
    (old / "notes.txt").write_bytes(b"of somebody else" * 100)
    abandoned = old / ".20250101T000000Z-host-1-2.jsonl.0.new"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    files = write(str(tmp_path), entry(answer=b'"%b"' % (b"a" * 1000)), **options)
    assert not abandoned.exists()
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2
    files.write(deque([entry(time=1_769_950_000.0, answer=b'"%b"' % (b"a" * 1000))]))
    assert [path.parent.name for path in tmp_path.rglob("*.jsonl")] == ["date=2026-02-01"]
    assert (old / "notes.txt").exists()


def test_a_failed_write_keeps_the_entries(tmp_path: Path) -> None:
    files = write(str(tmp_path / "log"), entry())
    (tmp_path / "log" / "date=2026-02-01").write_text("a file in place of the folder")
    waiting = deque([entry(time=1_769_950_000.0)])
    with pytest.raises(OSError, match="date=2026-02-01"):
        files.write(waiting)
    assert len(waiting) == 1
