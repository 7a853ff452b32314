"""The file watcher."""

import os
from pathlib import Path

from serving.artifacts import routing_file
from serving.gateway.models.file_watcher import WatchedFile


def write(path: Path, live: int) -> int:
    """Edit the file in place, set its modification time to 1970, and return its change time."""
    path.write_text(f'{{"shade": {{"live": {live}}}}}')
    os.utime(path, (0, 0))
    return path.stat().st_ctime_ns


def test_an_edit_with_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    """tar, rsync and image builds copy modification times, or set all of them to one value."""
    path = tmp_path / "routing.json"
    file = WatchedFile(path, routing_file.parse, {}, optional=True)
    changed = write(path, 1)
    assert file.read()["shade"].live == 1
    while write(path, 2) == changed:  # a file system's clock ticks every few milliseconds
        pass
    assert file.read()["shade"].live == 2
    assert file.read() is file.read()
