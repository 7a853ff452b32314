"""Sources of real data, and statistics of the data for the model card.

Real data comes from the folder VITRINE_DATA or from a download.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from serving.artifacts.model_card import Distribution
from training.core.array import Array
from training.core.errors import JobError

T = TypeVar("T")

_BATCH = 256  # pictures that are float32 at once


def local(name: str) -> Path | None:
    """Return the file or folder of that name in VITRINE_DATA; None if it does not exist.

    Raises:
        JobError: VITRINE_DATA is not a folder.
    """
    folder = os.environ.get("VITRINE_DATA")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise JobError(
            f"VITRINE_DATA is {folder}, which is not a folder: set it to the folder that holds the data, or unset it"
        )
    path = Path(folder, name)
    return path if path.exists() else None


def download(what: str, load: Callable[[], T], local_name: str | None = None, stand_in: str | None = "--stand-in") -> T:
    """Call a loader that downloads, and explain a failure.

    Args:
        what: name of the data set.
        load: the loader.
        local_name: file or folder in VITRINE_DATA that replaces the download.
        stand_in: option that replaces the data by a stand-in; None without one.

    Raises:
        JobError: the download failed.
    """
    try:
        return load()
    except Exception as error:  # Keras' loaders raise a bare Exception for a failed fetch
        other = f", or train on a synthetic stand-in with {stand_in}" if stand_in else ""
        lacking = " (the current one does not)" if os.environ.get("VITRINE_DATA") else ""
        local = f", or set VITRINE_DATA to a folder that holds {local_name}{lacking}" if local_name else ""
        raise JobError(f"{what} cannot be downloaded ({error}). Connect to the internet{local}{other}.") from error


def digest(*arrays: Array) -> str:
    """Return the SHA-256 over the arrays in order, which identifies training data."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def distribution(values: Any) -> Distribution:
    """Return the mean, deviation and deciles of one quantity, for drift detection."""
    flat = np.asarray(values, np.float64).ravel()
    quantiles = np.quantile(flat, np.linspace(0, 1, 11))
    return Distribution(
        mean=float(flat.mean()), std=float(flat.std()), quantiles=tuple(round(float(q), 6) for q in quantiles)
    )


def picture_statistics(pictures: Array) -> dict[str, Distribution]:
    """Return statistics of pictures [n, height, width, c].

    Brightness is a picture's mean, contrast its standard deviation.
    """
    batches = (pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH))
    flat = (batch.reshape(len(batch), -1).astype(np.float32) for batch in batches)
    means, deviations = zip(*((batch.mean(axis=1), batch.std(axis=1)) for batch in flat), strict=True)
    return {
        "brightness": distribution(np.concatenate(means)),
        "contrast": distribution(np.concatenate(deviations)),
    }


def column_statistics(names: Iterable[str], rows: Array) -> dict[str, Distribution]:
    """Return the statistics of each column of a table [n, columns], by name."""
    return {name: distribution(column) for name, column in zip(names, rows.T, strict=True)}


def signal_statistics(signals: Array) -> dict[str, Distribution]:
    """Return statistics of signals [n, length, channels].

    Level is a signal's mean, strength its standard deviation.
    """
    return {"level": distribution(signals.mean(axis=(1, 2))), "strength": distribution(signals.std(axis=(1, 2)))}
