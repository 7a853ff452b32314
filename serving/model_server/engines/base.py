"""What stands behind a servable and does the arithmetic."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from serving.tfs_api.tensors import Array


class Engine(Protocol):
    """Runs signatures of one version. Used from several threads at once; freed when nothing refers to it."""

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs asked for, in that order. The inputs have been checked against the signature.

        Raises:
            ServingError: the engine refuses the values, or fails.
        """
        ...
