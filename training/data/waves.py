"""Sums of sines with noise, random in amplitude, period and phase."""

from dataclasses import dataclass

import numpy as np

from training.core.array import Array

SHORTEST, LONGEST = 8.0, 40.0  # steps of one period


@dataclass(frozen=True)
class Waves:
    """Series [n, length], and the period of the largest sine of each in steps, [n]."""

    values: Array
    periods: Array


def generate(count: int, length: int, seed: int) -> Waves:
    """Generate series of one to three sines around a level, with noise.

    Periods are 8 to 40 steps, amplitudes decrease, and the noise is up to a tenth of the largest amplitude.
    """
    rng = np.random.default_rng(seed)
    periods = np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST), (count, 3)))
    amplitudes = np.array([1.0, 0.5, 0.25]) * rng.uniform(0.5, 1, (count, 3))
    amplitudes *= np.arange(3) < rng.integers(1, 4, (count, 1))
    phases = rng.uniform(0, 2 * np.pi, (count, 3))
    steps = np.arange(length)
    angles = 2 * np.pi * steps / periods[..., None] + phases[..., None]
    clean = (amplitudes[..., None] * np.sin(angles)).sum(axis=1)
    noise = rng.normal(0, 1, (count, length)) * rng.uniform(0, 0.1, (count, 1)) * amplitudes[:, :1]
    scale = np.exp(rng.uniform(np.log(0.1), np.log(10), (count, 1)))
    level = rng.normal(0, 2, (count, 1))
    return Waves((clean + noise + level) * scale, periods[:, 0])
