"""Noisy sines, squares and sawtooths, for the course's 1-D nets without data."""

import numpy as np

from serving.artifacts.model_card import Data, SignalRecipe
from training.core.array import Array
from training.core.examples import Examples
from training.data import sources

LABELS = ("sine", "square", "sawtooth")
RECIPE = SignalRecipe(length=1024, channels=1, sampling="1/1024 of the window", unit="1")
NOTE = "Its waveforms are synthetic: the course gives this net no data. Its figures say nothing about measured signals."


def generate(count: int, seed: int) -> tuple[Array, Array]:
    """Generate signals float32 [count, 1024, 1] and class numbers int64 [count].

    A signal has a random class, 3 to 40 periods, any phase, an amplitude of 0.5 to 2, and white noise with a deviation
    of 0.1 to 0.6 of the amplitude. Sawtooths rise or fall.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(LABELS), count)
    periods, phase, amplitude, noise = (rng.uniform(low, high, (count, 1)) for low, high in _RANGES)
    turn = (periods * np.arange(RECIPE.length) / RECIPE.length + phase) % 1  # 0…1 within each period
    slope = rng.choice([-1, 1], (count, 1))
    shapes = np.stack([np.sin(2 * np.pi * turn), np.where(turn < 0.5, 1.0, -1.0), slope * (2 * turn - 1)])
    clean = shapes[y, np.arange(count)]
    x = amplitude * (clean + noise * rng.normal(0, 1, clean.shape))
    return x[..., None].astype(np.float32), y


_RANGES = ((3, 40), (0, 1), (0.5, 2), (0.1, 0.6))  # periods, phase, amplitude, noise


def load(count: int) -> Examples:
    """Generate ``count`` signals to fit on, and 1,000 of another seed to test on."""
    train, test = generate(count, seed=1), generate(1000, seed=2)
    return Examples(
        train=train,
        test=test,
        labels=LABELS,
        inputs=sources.signal_statistics(train[0]),
        data=Data(
            name="synthetic waveforms: sine, square, sawtooth",
            source="training.data.waveforms",
            licence="none needed",
            rows={"train": count, "test": 1000},
            sha256=sources.digest(*train),
        ),
    )
