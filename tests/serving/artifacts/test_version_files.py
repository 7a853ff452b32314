"""Version directories, and entries that are never opened."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.artifacts import manifest, version_files
from serving.artifacts.version_files import IrregularFileError


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def itself(path: Path) -> None:
    path.symlink_to(path.name)


def above(path: Path) -> None:
    path.symlink_to(".")


def null(path: Path) -> None:
    path.symlink_to("/dev/null")


SPECIAL: list[tuple[Callable[[Path], None], str]] = [
    (fifo, "is a named pipe; regular files are expected"),
    (unix_socket, "is a socket; regular files are expected"),
    (null, "is a device; regular files are expected"),
    (itself, "is a symbolic link that leads back to itself"),
    (above, "is a symbolic link to a folder that contains it"),
]


@pytest.mark.parametrize("place", ["saved_model.pb", "assets.extra/MANIFEST.sha256", "assets.extra/x/y"])
@pytest.mark.parametrize(("make", "words"), SPECIAL)
def test_special_files_and_loops(tmp_path: Path, make: Callable[[Path], None], words: str, place: str) -> None:
    path = tmp_path / "1" / place
    path.parent.mkdir(parents=True)
    make(path)
    assert version_files.problem(tmp_path / "1", closed=False) == f"{place} {words}"
    assert place in (manifest.check(tmp_path / "1") or "")
    with pytest.raises(manifest.ManifestError, match=path.name):
        manifest.write(tmp_path / "1")


def test_links_may_lead_out_unless_forbidden(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "variables").symlink_to(tmp_path / "shared")
    (tmp_path / "1" / "gone").symlink_to(tmp_path / "nothing")
    assert version_files.problem(tmp_path / "1", closed=False) is None
    assert "gone is a symbolic link that leads out" in (version_files.problem(tmp_path / "1", closed=True) or "")
    fifo(tmp_path / "shared" / "data")
    assert "variables/data is a named pipe" in (version_files.problem(tmp_path / "1", closed=False) or "")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    fifo(tmp_path / "fifo")
    assert version_files.read(tmp_path / "file") == b"content"
    for name, words in (("fifo", "a named pipe"), (".", "a folder")):
        with pytest.raises(IrregularFileError, match=f"is {words}; a regular file is expected"):
            version_files.read(tmp_path / name)


def test_directories_of_versions(tmp_path: Path) -> None:
    for name in ("1", "002", "02", "10", "x", ".staging-1", "-3", "1.5", str(2**63), "lost+found"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_bytes(b"a file")
    fifo(tmp_path / "8")
    itself(tmp_path / "7")
    (tmp_path / "6").symlink_to("nothing")
    (tmp_path / "5").symlink_to("1")
    found = {number: path.name for number, path in version_files.directories(tmp_path).items()}
    assert found == {1: "1", 2: "02", 5: "5", 10: "10"}
    with pytest.raises(FileNotFoundError):
        version_files.directories(tmp_path / "none")


def test_a_folder_that_is_renamed_meanwhile_has_all_its_versions_or_none(tmp_path: Path) -> None:
    there, away, ended = tmp_path / "there", tmp_path / "away", threading.Event()
    for number in range(1, 5):
        (there / str(number)).mkdir(parents=True)

    def rename() -> None:
        while not ended.is_set():
            there.rename(away)
            away.rename(there)

    renamer = threading.Thread(target=rename)
    renamer.start()
    found = []
    try:
        while len(found) < 500:
            with contextlib.suppress(FileNotFoundError):
                found.append(list(version_files.directories(there)))
    finally:
        ended.set()
        renamer.join()
    assert found == [[1, 2, 3, 4]] * len(found)
