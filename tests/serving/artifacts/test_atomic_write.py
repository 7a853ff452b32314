"""Atomic writes: old or new content, kept permissions, no leftovers."""

import multiprocessing
import resource
import signal
from pathlib import Path

import pytest

from serving.artifacts.atomic_write import leftovers, remove_leftovers, write_atomically


@pytest.mark.parametrize("content", [b"\x00new", "näw"])
def test_bytes_and_text_are_written(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "file"
    write_atomically(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)  # more than the umask allows
    write_atomically(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o666


def test_given_permissions_replace_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_atomically(path, b"new", permissions=0o600)
    assert path.stat().st_mode & 0o777 == 0o600


def write_beyond_the_size_limit(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the kernel ends the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(OSError, match="too large"):
        write_atomically(path, bytes(2000))


def test_a_failed_write_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    process = multiprocessing.get_context("spawn").Process(target=write_beyond_the_size_limit, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def write_until_killed(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    write_atomically(path, bytes(2000))


def leave_temporary_file(path: Path) -> Path:
    """Let the kernel kill a writer of a file in the middle of the content. Returns the temporary file."""
    process = multiprocessing.get_context("spawn").Process(target=write_until_killed, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGXFSZ
    (draft,) = leftovers(path)
    return draft


def test_a_killed_writer_leaves_the_old_content_and_a_file_that_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "file[1]"
    path.write_bytes(b"old")
    draft = leave_temporary_file(path)
    other = tmp_path / ".other.new"
    other.touch()
    assert path.read_bytes() == b"old" and draft.read_bytes() == bytes(1000)
    remove_leftovers(path)
    assert {*tmp_path.iterdir()} == {path, other}


def test_readers_see_one_content_or_the_other_while_several_processes_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(3)]
    write_atomically(path, contents[0])
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many_times, args=(path, content)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


def write_many_times(path: Path, content: bytes) -> None:
    for _ in range(50):
        write_atomically(path, content)
