"""The signatures that a kind expects of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.gateway.errors import listed
from serving.gateway.models.signature import Shape, Signature, TensorSpec, show


@dataclass(frozen=True)
class ExpectedTensor:
    """A tensor's type and shape; None is a size that the card does not fix. The first size must be free."""

    dtype: np.dtype[Any]
    shape: Shape

    def accepts(self, spec: TensorSpec) -> bool:
        """Return whether a tensor has this type and rank, a free first size, and no other fixed size."""
        if spec.dtype != self.dtype or spec.shape is None or len(spec.shape) != len(self.shape) or not spec.batched:
            return False
        return all(None in (have, want) or have == want for have, want in zip(spec.shape, self.shape, strict=True))

    def __str__(self) -> str:
        return f"{self.dtype} {show(self.shape)}"


def tensor(dtype: type, *shape: int | None) -> ExpectedTensor:
    """Return the expected tensor [N, …shape]."""
    return ExpectedTensor(np.dtype(dtype), (None, *shape))


@dataclass(frozen=True)
class Expected:
    """A signature's name, all of its inputs, and the outputs that are needed of it."""

    name: str
    inputs: Mapping[str, ExpectedTensor]
    outputs: Mapping[str, ExpectedTensor]

    def find(self, signatures: Mapping[str, Signature]) -> Signature | str:
        """Return the model's signature, or why it does not fit."""
        signature = signatures.get(self.name)
        if signature is None:
            return f"it has no signature {self.name}"
        if signature.inputs.keys() != self.inputs.keys():
            return f"its signature {self.name} takes {listed(signature.inputs)}, not {listed(self.inputs)}"
        for expected, specs in ((self.inputs, signature.inputs), (self.outputs, signature.outputs)):
            for name, one in expected.items():
                if name not in specs:
                    return f"its signature {self.name} has no output {name}"
                if not one.accepts(specs[name]):
                    return f"{name} of its signature {self.name} is {specs[name]}, not {one}"
        return signature
