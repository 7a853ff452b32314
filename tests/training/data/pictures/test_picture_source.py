"""Files of folders and ZIP files; hostile ZIP files."""

import os
import struct
import zipfile
from pathlib import Path

import pytest

from serving.preprocessing.image import PictureError
from tests.training.data.pictures.photos import write, zipped
from training.core.errors import JobError
from training.data.pictures import picture_source
from training.data.pictures.picture_source import open_source

FILES = {"a/1.jpg": b"one", "a/deep/2.jpg": b"two", "b/3.jpg": b"three"}


def test_a_folder_and_a_zip_file_list_the_same(tmp_path: Path) -> None:
    folder = open_source(write(tmp_path / "own", FILES))
    archive = open_source(zipped(tmp_path / "own.zip", FILES))
    assert folder.files == archive.files == sorted(FILES)
    assert folder.folders == archive.folders == {"a", "a/deep", "b"}
    assert folder.name == archive.name == "own"
    assert [folder.read(file) for file in FILES] == [archive.read(file) for file in FILES] == list(FILES.values())


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    root = write(tmp_path / "own", {"a/1.jpg": b"one"})
    write(tmp_path / "elsewhere", {"2.jpg": b"two"})
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "loop").symlink_to(root)
    assert open_source(root).files == ["a/1.jpg", "b/2.jpg"]


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    root = write(tmp_path, {"a/1.jpg": b"one"})
    os.mkfifo(root / "a" / "pipe.jpg")
    (root / "a" / "broken.jpg").symlink_to("nowhere")
    with (root / "a" / "huge.jpg").open("wb") as huge:
        huge.truncate(picture_source.MAX_FILE_BYTES + 1)
    source = open_source(root)
    with pytest.raises(PictureError, match="not a regular file"):
        source.read("a/pipe.jpg")
    with pytest.raises(PictureError, match="larger than 32 MB"):
        source.read("a/huge.jpg")
    with pytest.raises(OSError, match="No such file"):
        source.read("a/broken.jpg")


@pytest.mark.parametrize("name", ["../../outside.jpg", "/tmp/outside.jpg", "a\\..\\..\\outside.jpg"])
def test_paths_out_of_a_zip_file_are_skipped(name: str, tmp_path: Path) -> None:
    source = open_source(zipped(tmp_path / "own.zip", {**FILES, name: b"evil"}))
    assert source.files == sorted(FILES)
    assert source.skipped == [(name.replace("\\", "/"), "the path leaves the ZIP file")]
    assert not list(tmp_path.parent.glob("outside*"))


def test_zip_names_of_windows_and_macos_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.writestr("calções\\1.jpg", b"one")
    raw = (tmp_path / "own.zip").read_bytes()
    central = raw.index(b"PK\x01\x02")
    unflagged = bytearray(raw)  # macOS writes UTF-8 without the flag that says so
    for position in (6, central + 8):
        unflagged[position : position + 2] = struct.pack("<H", 0)
    (tmp_path / "mac.zip").write_bytes(unflagged)
    for name in ("own.zip", "mac.zip"):
        assert open_source(tmp_path / name).files == ["calções/1.jpg"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", {"a/1.bmp": bytes(5_000_000)})
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    raw[central + 24 : central + 28] = struct.pack("<I", 4_000_000_000)
    path.write_bytes(raw)
    with pytest.raises(JobError, match=r"has 0\.0 MB and unpacks to 4\.0 GB.*as only ZIP bombs do"):
        open_source(path)


def test_a_member_that_understates_its_size_is_bounded(tmp_path: Path) -> None:
    """The size in the directory is a lie: reading stops at it, or fails."""
    path = zipped(tmp_path / "own.zip", {"a/1.bmp": bytes(5_000_000)})
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    raw[central + 24 : central + 28] = struct.pack("<I", 100)
    path.write_bytes(raw)
    with pytest.raises(PictureError, match="damaged"):
        open_source(path).read("a/1.bmp")


def test_encrypted_and_damaged_members_are_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "own.zip", {"a/1.jpg": b"one" * 100})
    raw = bytearray(path.read_bytes())
    for position in (6, raw.index(b"PK\x01\x02") + 8):
        raw[position] |= 1
    (tmp_path / "secret.zip").write_bytes(raw)
    with pytest.raises(PictureError, match="the file is encrypted"):
        open_source(tmp_path / "secret.zip").read("a/1.jpg")
    broken = bytearray(path.read_bytes())
    broken[38] ^= 0xFF
    path.write_bytes(broken)
    with pytest.raises(PictureError, match="the file in the ZIP file is damaged"):
        open_source(path).read("a/1.jpg")


def test_anything_else_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobError, match=r"there is no .*nowhere; a folder with one folder of pictures for each class"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no pictures")
    with pytest.raises(JobError, match=r"notes\.txt is neither a folder nor a ZIP file; "):
        open_source(tmp_path / "notes.txt")
    monkeypatch.setattr(picture_source, "MAX_FILES", 2)
    for path in (write(tmp_path / "own", FILES), zipped(tmp_path / "own.zip", FILES)):
        with pytest.raises(JobError, match="holds more than 2 files"):
            open_source(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_an_unreadable_folder_is_an_error_and_one_in_it_is_skipped(tmp_path: Path) -> None:
    root = write(tmp_path / "own", FILES)
    (root / "b").chmod(0)
    source = open_source(root)
    assert source.files == ["a/1.jpg", "a/deep/2.jpg"] and source.skipped == [("b", "Permission denied")]
    root.chmod(0)
    with pytest.raises(JobError, match="own cannot be read: Permission denied"):
        open_source(root)
    root.chmod(0o700)
    (root / "b").chmod(0o700)
