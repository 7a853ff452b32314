"""Label the connected components of a mask."""

import numpy as np
from numpy.typing import NDArray


def label_components(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number the connected components of a mask from 1, diagonals included; 0 elsewhere. [height, width] to the same.

    Union-find over the runs of each row, which are joined with the runs of the row above.
    """
    parent = [0]

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    numbers = np.zeros(mask.shape, np.intp)
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for y, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        number = len(parent)
        parent.append(number)
        for left, right, other in runs.get(y - 1, ()):
            if left <= end and right >= start:
                parent[root(other)] = root(number)
        runs.setdefault(y, []).append((start, end, number))
        numbers[y, start:end] = number
    _, compact = np.unique([root(number) for number in range(len(parent))], return_inverse=True)
    labels: NDArray[np.intp] = compact[numbers]
    return labels
