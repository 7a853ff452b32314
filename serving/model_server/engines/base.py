"""The protocol of engines."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from serving.tfs_api.tensors import Array


class Engine(Protocol):
    """Runs signatures of one version, from several threads at the same time."""

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the requested outputs, in that order. The caller has checked the inputs against the signature.

        Raises:
            ServingError: The engine rejects the values, or fails.
        """
        ...
