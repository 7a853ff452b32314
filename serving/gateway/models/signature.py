"""Signatures of a model version: names, types and shapes of its inputs and outputs."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.tfs_api import messages
from serving.tfs_api.tensors import numpy_type, type_name

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor. A size of None is free; a ``shape`` of None is an unknown rank."""

    name: str
    data_type: int
    shape: Shape | None

    @functools.cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """NumPy type (object for strings); None if the type is not served."""
        return numpy_type(self.data_type)

    @functools.cached_property
    def is_string(self) -> bool:
        """Whether the values are strings of bytes."""
        return bool(self.data_type == messages.DT_STRING)

    @functools.cached_property
    def batched(self) -> bool:
        """Whether the first size is free: the tensor has rows."""
        return self.shape is not None and self.shape[:1] == (None,)

    def __str__(self) -> str:
        name = type_name(self.data_type) if self.dtype is None or self.is_string else str(self.dtype)
        return f"{name} {show(self.shape)}"


@dataclass(frozen=True)
class Signature:
    """Named inputs and outputs."""

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @functools.cached_property
    def batched(self) -> bool:
        """Whether every input and output has rows."""
        return bool(self.inputs) and all(spec.batched for spec in (*self.inputs.values(), *self.outputs.values()))

    @functools.cached_property
    def mergeable(self) -> bool:
        """Whether requests can be merged without a model card.

        That needs rows in every tensor, and outputs whose size cannot depend on other rows.
        """
        return self.batched and all(None not in (spec.shape or ())[1:] for spec in self.outputs.values())


def show(shape: tuple[int | None, ...] | None) -> str:
    """A shape for a message: ``[N, 28, 28, 1]``; free sizes other than the first are ``?``."""
    if shape is None:
        return "of any rank"
    sizes = [("N" if place == 0 else "?") if size is None else str(size) for place, size in enumerate(shape)]
    return f"[{', '.join(sizes)}]"
