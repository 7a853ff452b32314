"""Synthetic waveforms: shapes, seed and card."""

import numpy as np

from training.data import waveforms


def test_the_seed_determines_the_data() -> None:
    (x, y), (again, _), (other, _) = (waveforms.generate(30, seed) for seed in (1, 1, 2))
    assert x.shape == (30, 1024, 1) and x.dtype == np.float32 and set(y) == {0, 1, 2}
    assert np.array_equal(x, again) and not np.array_equal(x, other)


def test_classes_have_their_crest_factors() -> None:
    """The crest factor, peak over root mean square, is √2 for a sine, 1 for a square and √3 for a sawtooth.

    The 95th percentile replaces the peak, which noise widens.
    """
    x, y = waveforms.generate(600, seed=1)
    crest = np.quantile(np.abs(x[..., 0]), 0.95, axis=1) / x[..., 0].std(axis=1)
    sine, square, sawtooth = (np.median(crest[y == kind]) for kind in range(3))
    assert square < sine < sawtooth


def test_the_data_is_marked_as_synthetic() -> None:
    examples = waveforms.load(count=20)
    assert "synthetic" in examples.data.name and "synthetic" in waveforms.NOTE
    assert examples.inputs.keys() == {"level", "strength"}
