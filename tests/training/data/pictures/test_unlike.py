"""Pictures that teach the typicality: resampled ones, and textures in random outlines."""

import numpy as np

from training.data import fashion_mnist
from training.data.pictures.unlike import resampled, textures


def test_resampled_pictures_are_the_same_pictures_with_traces_of_resampling() -> None:
    across, down = np.meshgrid(np.linspace(-1, 1, 28), np.linspace(-1, 1, 28))
    tones = np.linspace(90, 160, 50)[:, None, None] * (1.3 + 0.2 * across)
    pictures = np.where(np.hypot(across, down) < 1.03, tones, 0).astype(np.uint8)[..., None]  # fill the frame
    found = resampled(pictures, fashion_mnist.RECIPE, np.random.default_rng(0))
    assert found.shape == (50, 28, 28, 1) and found.dtype == np.uint8
    differences = np.abs(found.astype(int) - pictures).mean(axis=(1, 2, 3))
    assert differences.min() > 0.1 and np.median(differences) < 10  # of a few the corners are taken for the object


def test_textures_differ_in_outline_and_fall_with_the_frequency() -> None:
    found = textures(300, 28, np.random.default_rng(0))
    np.testing.assert_array_equal(found, textures(300, 28, np.random.default_rng(0)))
    lit = (found[..., 0] > 0).mean(axis=(1, 2))
    assert 0.2 < (lit == 1).mean() < 0.5 and lit[lit < 1].std() > 0.1 and lit.min() < 0.4
    whole = found[lit == 1, :, :, 0].astype(float)
    power = np.square(np.abs(np.fft.fft2(whole - whole.mean(axis=(1, 2), keepdims=True)))).mean(axis=0)
    assert power[1, 1] > 10 * power[5, 5] > 10 * power[12, 12]


def test_an_exposure_has_the_training_pictures_resampled_ones_textures_and_variants() -> None:
    pictures, labels = fashion_mnist.silhouettes(200, 3)
    exposure = fashion_mnist.exposure((pictures[..., None], labels))
    np.testing.assert_array_equal(exposure.like[:200, :, :, 0], pictures)
    assert len(exposure.like) == 400
    assert len(exposure.unlike) == 4_200 and exposure.unlike.shape[1:] == (28, 28, 1)


def test_shoes_come_in_pairs() -> None:
    np.testing.assert_array_equal(fashion_mnist.in_pairs(np.array([4, 5, 6, 7, 8, 9])), [0, 1, 0, 1, 0, 1])
