"""Photographs of clothes become pictures like those of a catalogue; other pictures and recipes stay as they are."""

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from serving.preprocessing import cut_out
from serving.preprocessing.image import ImageRecipe, PictureError, Polarity, prepare

OLD = ImageRecipe(height=28, width=28, channels=1, colour="grey", crop=True)
RECIPE = OLD.model_copy(update={"cut_out": True})
SHIRT = [(50, 40), (150, 40), (185, 95), (160, 110), (145, 85), (145, 215), (55, 215), (55, 85), (40, 110), (15, 95)]


def photograph(shirt: tuple[int, int, int] = (40, 70, 150), size: tuple[int, int] = (200, 260)) -> Image.Image:
    """A blue shirt on red and yellow tiles, unevenly lit."""
    tiles = Image.new("RGB", (200, 260), (190, 60, 50))
    draw = ImageDraw.Draw(tiles)
    for y in range(0, 260, 20):
        for x in range(y % 40, 200, 40):
            draw.rectangle((x, y, x + 19, y + 19), fill=(200, 170, 60))
    draw.polygon(SHIRT, fill=shirt)
    pixels = np.asarray(tiles, np.float32) * np.linspace(0.8, 1.1, 260)[:, None, None]
    noisy = pixels + np.random.default_rng(1).normal(0, 5, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).resize(size)


def silhouette() -> np.ndarray:
    mask = Image.new("L", (200, 260))
    ImageDraw.Draw(mask).polygon(SHIRT, fill=255)
    return prepare(mask, OLD)[..., 0] > 100


def overlap(recipe: ImageRecipe, size: tuple[int, int]) -> float:
    found = prepare(photograph(size=size), recipe)[..., 0] > 60
    return float(np.count_nonzero(found & silhouette()) / np.count_nonzero(found | silhouette()))


@pytest.mark.parametrize("size", [(200, 260), (60, 78), (1500, 1950)])
def test_cuts_an_object_out_of_a_pattern(size: tuple[int, int]) -> None:
    assert overlap(RECIPE, size) > 0.9
    assert overlap(OLD, size) < 0.85


def test_stretches_the_contrast_and_makes_dark_clothes_light() -> None:
    pixels = prepare(photograph(shirt=(30, 30, 34)), RECIPE)[..., 0]
    assert pixels[14, 14] > 100
    assert pixels[0, 0] == 0


@pytest.mark.parametrize("polarity", ["light_on_dark", "dark_on_light"])
def test_follows_the_caller_who_states_the_background(polarity: Polarity) -> None:
    assert np.array_equal(prepare(photograph(), RECIPE, polarity), prepare(photograph(), OLD, polarity))


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_catalogue_pictures_pass_as_before(shade: int) -> None:
    picture = Image.new("RGB", (120, 160), (shade,) * 3)
    ImageDraw.Draw(picture).rectangle((30, 30, 90, 130), fill=(30, 60, 40))
    assert np.array_equal(prepare(picture, RECIPE), prepare(picture, OLD))


def test_a_picture_of_the_models_size_passes_unchanged() -> None:
    pixels = np.random.default_rng(1).integers(0, 120, (28, 28), dtype=np.uint8)
    assert np.array_equal(prepare(Image.fromarray(pixels), RECIPE)[..., 0], pixels)


def test_noise_and_blank_pictures_are_no_photographs_of_an_object() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    assert prepare(noise, RECIPE).shape == (28, 28, 1)
    with pytest.raises(PictureError, match="blank"):
        prepare(Image.new("RGB", (90, 120), "red"), RECIPE)


@pytest.mark.parametrize("size", [(1, 400), (400, 1), (3, 3), (9, 500)])
def test_thin_and_tiny_pictures(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    assert prepare(Image.fromarray(pixels), RECIPE).shape == (28, 28, 1)


def test_the_cost_does_not_grow_with_the_picture() -> None:
    def seconds(side: int) -> float:
        picture = photograph(size=(side, side))
        times = []
        for _ in range(5):
            begun = time.process_time()
            cut_out.cut_out(picture)
            times.append(time.process_time() - begun)
        return min(times)

    assert seconds(512) < 3 * seconds(96)  # a prepared picture has at most 512 pixels a side
