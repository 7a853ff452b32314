"""Which file belongs to which class and part, by names alone."""

from pathlib import Path

import pytest

from tests.training.data.pictures.photos import write
from training.core.errors import JobError
from training.data.pictures.class_folders import ClassFolders, arrange, check, clean
from training.data.pictures.picture_source import open_source


def arranged(root: Path, *names: str) -> ClassFolders:
    return arrange(open_source(write(root, dict.fromkeys(names, b""))), root)


def test_class_folders_with_pictures_below_them(tmp_path: Path) -> None:
    found = arranged(tmp_path, "dog/1.jpg", "Cat/1.PNG", "dog/big/2.webp", "dog/IMG_3")
    assert found.labels == ("Cat", "dog")
    assert found.parts == {"train": [("Cat/1.PNG", 0), ("dog/1.jpg", 1), ("dog/IMG_3", 1), ("dog/big/2.webp", 1)]}
    assert found.skipped == []


@pytest.mark.parametrize("top", ["", "set-main/", "a/b/"])
@pytest.mark.parametrize("names", [("train", "test"), ("Train", "val", "TEST"), ("training", "valid")])
def test_parts_above_the_classes(top: str, names: tuple[str, ...], tmp_path: Path) -> None:
    files = [f"{top}{name}/{label}/1.jpg" for name in names for label in ("cat", "dog")]
    found = arranged(tmp_path, *files, f"{top}README.md")
    assert found.labels == ("cat", "dog")
    assert [len(files) for files in found.parts.values()] == [2] * len(names)
    assert set(found.parts) <= {"train", "validation", "test"} and "train" in found.parts
    assert found.skipped == [(f"{top}README.md", "not a picture by its name")]


def test_vehicles_may_be_a_train_or_a_bus(tmp_path: Path) -> None:
    assert arranged(tmp_path, "train/1.jpg", "bus/1.jpg").labels == ("bus", "train")


def test_other_files_are_skipped_with_a_reason(tmp_path: Path) -> None:
    names = ["._1.jpg", "dog/.DS_Store", "dog/notes.txt", "__MACOSX/dog/1.jpg", "cover.jpg"]
    found = arranged(tmp_path, "dog/1.jpg", "cat/1.jpg", ".git/config", *names)
    assert dict(found.skipped) == {
        "._1.jpg": "hidden files, thumbnails and trash",
        ".git/config": "hidden files, thumbnails and trash",
        "__MACOSX/dog/1.jpg": "hidden files, thumbnails and trash",
        "cover.jpg": "outside of the class folders",
        "dog/.DS_Store": "hidden files, thumbnails and trash",
        "dog/notes.txt": "not a picture by its name",
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no pictures; bmp, dib, gif, jfif, jpe, jpeg, jpg, .* are read"),
        (("notes.txt",), "holds no pictures"),
        (("1.jpg", "2.jpg"), "holds pictures directly; put them in one folder for each class"),
        (("dog/1.jpg",), "has one class only, dog; at least two class folders are needed"),
        (("dog/1.jpg", "cat/notes.txt"), "the folder holds no pictures of cat; add some, or remove the class"),
        (("dog/1.jpg", "Cat/1.jpg", "cat/1.jpg"), "the class folders 'Cat' and 'cat' have the same name; rename one"),
        (("dog/1.jpg", "cat/1.jpg", "cat /1.jpg"), "the class folders 'cat' and 'cat ' have the same name"),
        (("dog/1.jpg", "\x07/1.jpg"), r"the name of the class folder '\\x07' has no letters; rename it"),
        (tuple(f"{i}/1.jpg" for i in range(1000)), "has 1,000 class folders; at most 500 classes are supported"),
        (("train/dog.1.jpg", "test/1.jpg"), "has pictures directly in test, train; put them in one folder for each"),
        (("train/dog/1.jpg", "train/cat/1.jpg", "test/1.jpg"), "has pictures directly in test; put them in one"),
        (("train/dog/1.jpg", "train/cat/1.jpg", "test/dog/1.jpg"), "the part test holds no pictures of cat"),
        (("dog/1.jpg", "cat/1.jpg"), "at least 10 pictures of each class are needed; cat has 1, dog has 1"),
        (
            ("train/dog/1.jpg", "train/cat/1.jpg", "test/dog/1.jpg", "test/cat/1.jpg"),
            "at least 5 pictures of each class are needed in train; cat has 1, dog has 1",
        ),
        (("train/d/1.jpg", "val/d/1.jpg", "valid/d/1.jpg"), "two folders for the same part: train, val, valid"),
    ],
)
def test_bad_folders_get_one_clear_sentence(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(names, b""))
    with pytest.raises(JobError, match=message) as refused:
        check(tmp_path)
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"dog/1.jpg": b"", "cat/1.jpg": b""})
    (tmp_path / "bird").mkdir()
    (tmp_path / ".cache").mkdir()
    with pytest.raises(JobError, match="holds no pictures of bird; add some, or remove the class"):
        check(tmp_path)


def test_names_are_cleaned() -> None:
    assert clean(" t-shirt\u0000 \n") == "t-shirt"
    assert clean("calc\u0327o\u0303es") == "calções"
    assert clean("caf\udce9") == "caf?"
