"""Reading of the user's own pictures: formats, rotation, broken files, memory."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.preprocessing.image import ImageRecipe, decode
from tests.training.data.pictures.photos import classes, photo, write, zipped
from training.core.errors import JobError
from training.data.pictures import own_pictures
from training.data.pictures.own_pictures import find

RECIPE = ImageRecipe(height=32, width=32, channels=3, colour="rgb")


def quiet(sentence: str) -> None:
    """Ignore the progress."""


def test_pictures_are_prepared_as_the_gateway_does(tmp_path: Path) -> None:
    files = classes(12, "disc", "square")
    found = find(write(tmp_path, files), 1000, quiet)
    assert found.labels == ("disc", "square") and found.name == tmp_path.name and found.skipped == []
    x, y = found.read("train", RECIPE, quiet)
    assert x.shape == (16, 32, 32, 3) and x.dtype == np.uint8 and np.bincount(y).tolist() == [8, 8]
    for pixels, picture in zip(x, found.parts["train"], strict=True):
        np.testing.assert_array_equal(pixels, decode(files[picture.file], RECIPE))
    assert 60 <= found.typical_side <= 140


def test_formats_and_rotation(tmp_path: Path) -> None:
    """A picture that a phone has marked as rotated equals the upright one."""
    upright = Image.open(write(tmp_path, {"x.png": photo("disc", 1, "PNG")}) / "x.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.webp", lossless=True, exif=exif)
    turned = (tmp_path / "turned.webp").read_bytes()
    files = {
        **classes(10, "disc", "square", folder="own/"),
        "own/disc/turned.webp": turned,
        "own/disc/without_suffix": photo("disc", 77, "BMP"),
        "own/disc/indexed.gif": photo("disc", 78, "GIF"),
        "own/disc/named.jpg": photo("disc", 79, "PNG"),
    }
    found = find(write(tmp_path, files) / "own", 1000, quiet)
    assert found.skipped == [] and found.usable == 24
    read = {
        picture.file: pixels
        for part in found.parts
        for picture, pixels in zip(found.parts[part], found.read(part, RECIPE, quiet)[0], strict=True)
    }
    np.testing.assert_array_equal(read["disc/turned.webp"], decode(photo("disc", 1, "PNG"), RECIPE))


def test_unusable_files_are_skipped_and_listed(tmp_path: Path) -> None:
    whole = photo("disc", 99, "PNG")
    files = {
        **classes(30, "disc", "square"),
        "disc/cut.png": whole[: len(whole) // 2],
        "disc/empty.jpg": b"",
        "disc/page.jpg": b"<html>not found</html>",
        "disc/phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "disc/phone2.HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heix",
        "square/copy.jpg": photo("square", 1000),
        "square/black.png": b"",
        "square/.hidden.jpg": b"",
    }
    black = Image.new("RGB", (90, 90))
    black.save(write(tmp_path, files) / "square" / "black.png")
    found = find(tmp_path, 1000, quiet)
    for part in found.parts:
        found.read(part, RECIPE, quiet)
    assert own_pictures.note(found.skipped) == (
        "Skipped 8 files: 2 × the file is a HEIC picture (iPhone), which is not supported (phone.heic, phone2.HEIC); "
        "1 × a copy of another picture (copy.jpg); 1 × hidden files, thumbnails and trash (.hidden.jpg); "
        "1 × the file is a web page (HTML), which is not supported (page.jpg); 1 × the picture is blank (black.png); "
        "1 × the picture is empty (0 bytes) (empty.jpg); 1 × the picture is truncated or corrupt (cut.png)."
    )


def test_too_few_usable_pictures_say_what_was_skipped(tmp_path: Path) -> None:
    files = {**classes(10, "disc"), **{f"square/{i}.heic": b"\0\0\0\x18ftypheic%d" % i for i in range(12)}}
    with pytest.raises(JobError, match=r"each class are needed; square has 0\. Skipped 12 files: 12 × .* HEIC picture"):
        find(write(tmp_path, files), 1000, quiet)


def test_pictures_that_are_in_two_classes_are_named_if_too_few_are_left(tmp_path: Path) -> None:
    files = classes(12, "disc", "square")
    files |= {f"square/also_{i}.jpg": files[f"disc/{i}.jpg"] for i in range(5)}
    with pytest.raises(JobError, match=r"disc has 7\. Skipped 10 files: 10 × the same picture in several classes"):
        find(write(tmp_path, files), 1000, quiet)


def test_a_zip_file_with_parts_gives_the_same_as_its_folder(tmp_path: Path) -> None:
    parts = {"train": 12, "validation": 2, "test": 3}
    files = {
        name: content
        for number, (part, count) in enumerate(parts.items())
        for name, content in classes(count, "disc", "square", folder=f"set-main/{part}/", first=100 * number).items()
    }
    folder, archive = (
        find(write(tmp_path / "set", files), 1000, quiet),
        find(zipped(tmp_path / "set.zip", files), 1000, quiet),
    )
    assert {part: len(found) for part, found in archive.parts.items()} == {"train": 24, "validation": 4, "test": 6}
    assert archive.digest() == folder.digest() and archive.parts == folder.parts
    np.testing.assert_array_equal(archive.read("test", RECIPE, quiet)[0], folder.read("test", RECIPE, quiet)[0])


def test_damaged_pictures_of_a_whole_class_are_an_error(tmp_path: Path) -> None:
    files = classes(12, "disc")
    for index in range(12):
        whole = photo("square", 500 + index, "PNG")
        files[f"square/{index}.png"] = whole[:-200]
    found = find(write(tmp_path, files), 1000, quiet)
    with pytest.raises(JobError, match=r"all pictures of square in train are unusable\. Skipped 8 files: 8 × the pic"):
        found.read("train", RECIPE, quiet)
