"""Generated textures."""

import numpy as np

from training.data import textures


def test_shapes_kinds_and_seeds() -> None:
    x, kinds = textures.generate(10, 48, seed=1)
    assert x.shape == (10, 48, 48, 1) and x.dtype == np.uint8
    assert kinds.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert (textures.generate(10, 48, seed=1)[0] == x).all()
    assert (textures.generate(10, 48, seed=2)[0] != x).any()
    assert (x.std(axis=(1, 2, 3)) > 10).all()


def test_two_views_show_different_parts_of_one_texture() -> None:
    """The strongest frequencies of stripes agree within a pair and differ between pairs."""
    views = textures.pairs(24, 64, seed=1)
    assert views.shape == (24, 2, 64, 64, 1) and views.dtype == np.uint8
    assert (views[:, 0] != views[:, 1]).any(axis=(1, 2, 3)).all()
    stripes = views[::8, ..., 0].astype(float)
    spectrum = np.abs(np.fft.rfft2(stripes - stripes.mean(axis=(2, 3), keepdims=True)))
    strongest = spectrum.reshape(3, 2, -1).argmax(axis=2)
    assert (strongest[:, 0] == strongest[:, 1]).all() and len(set(strongest[:, 0])) == 3
