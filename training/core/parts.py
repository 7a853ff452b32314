"""Fixed split of a test part into rows for calibration, for the publish gate, and the rest.

The courses' recipes keep their training part whole, so held-out rows come from the test part. A row's part follows from
the SHA-256 of its content alone: it is the same in every run, on every machine, and after a change of the order.
Printed figures stay on all of the test part.
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from serving.artifacts.model_card import DataPart
from training.core.array import Array
from training.data import sources

CALIBRATION, GATE, REST = "calibration", "gate", "rest"
_SHARES = {CALIBRATION: 0.2, GATE: 0.4}


def split(content: Array) -> dict[str, Array]:
    """Return the row numbers of ``calibration``, ``gate`` and ``rest``, ascending int64.

    About a fifth of the rows are for calibration and two fifths for the gate. Equal rows get into the same part.

    Args:
        content: the raw inputs of the test part, [n, …]. Features that a net computed differ between machines: pass
            the pictures they were computed from.
    """
    places = np.array([_place(row) for row in content])
    ends = np.cumsum(list(_SHARES.values()))
    numbers = np.searchsorted(ends, places, side="right")
    return {name: np.flatnonzero(numbers == number) for number, name in enumerate((*_SHARES, REST))}


def described(parts: Mapping[str, tuple[Array, ...]]) -> dict[str, DataPart]:
    """Return the size and hash of each part for the card, from its arrays: inputs, then targets."""
    return {name: DataPart(rows=len(arrays[0]), sha256=sources.digest(*arrays)) for name, arrays in parts.items()}


def _place(row: Array) -> float:
    """Return a number in [0, 1) that follows from the row's content."""
    hashed = hashlib.sha256(np.ascontiguousarray(row).data).digest()
    return int.from_bytes(hashed[:8]) / 2**64
