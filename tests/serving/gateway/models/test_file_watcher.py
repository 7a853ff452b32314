"""Files that are read again when they change."""

import os
from pathlib import Path

from serving.artifacts import routing_file as routing
from serving.gateway.models.file_watcher import WatchedFile


def write(path: Path, live: int) -> int:
    """Edits the file in place, as if it were from 1970; returns when it changed."""
    path.write_text(f'{{"shade": {{"live": {live}}}}}')
    os.utime(path, (0, 0))
    return path.stat().st_ctime_ns


def test_an_edit_with_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    """As tar, rsync and image builds make them: modification times are copied, or all the same."""
    path = tmp_path / "routing.json"
    file = WatchedFile(path, routing.parse, {}, optional=True)
    changed = write(path, 1)
    assert file.read()["shade"].live == 1
    while write(path, 2) == changed:  # a file system's clock ticks every few milliseconds
        pass
    assert file.read()["shade"].live == 2
    assert file.read() is file.read()
