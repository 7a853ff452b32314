"""The model server as the gateway sees it: arrays in, arrays out.

Dynamic batching, the predictor, model discovery and the protocols know only :class:`ModelServer`. Two classes implement
it: ``tf_serving.TFServingBackend`` calls TensorFlow Serving by gRPC, ``embedded.EmbeddedBackend`` runs the models in
this process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.gateway.models.signature import Signature
from serving.tfs_api.tensors import is_float

#: Tensors by input or output name.
Arrays = Mapping[str, NDArray[Any]]

#: Headers of a call: its trace.
Metadata = Sequence[tuple[str, str]]

#: Most attempts of a call if replicas may lack the version. Each attempt goes to the next replica.
MOST_ATTEMPTS = 6


class Outputs(dict[str, NDArray[Any]]):
    """Outputs by name. ``clean`` is true if every number in them is known to be finite."""

    __slots__ = ("clean",)

    def __init__(self, arrays: Arrays, clean: bool) -> None:
        super().__init__(arrays)
        self.clean = clean

    @classmethod
    def checked(cls, arrays: Iterable[tuple[str, NDArray[Any]]]) -> "Outputs":
        """Outputs whose numbers are checked for NaN and infinity."""
        outputs = cls({}, clean=True)
        for name, array in arrays:
            outputs[name] = array
            outputs.clean = outputs.clean and (not is_float(array.dtype) or bool(np.isfinite(array).all()))
        return outputs

    def rows(self, first: int, last: int) -> "Outputs":
        """Rows ``first`` to ``last`` of each output."""
        return Outputs({name: array[first:last] for name, array in self.items()}, self.clean)

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return size_of(self)

    def without_column(self) -> "Outputs":
        """Outputs of shape [N, 1] as [N]."""
        return Outputs(
            {name: array[:, 0] if array.shape[1:] == (1,) else array for name, array in self.items()}, self.clean
        )


def size_of(arrays: Arrays) -> int:
    """Bytes of all values."""
    size = 0
    for array in arrays.values():
        size += sum(map(len, array.flat)) if array.dtype.hasobject else array.nbytes
    return size


@dataclass(frozen=True, slots=True)
class ExampleBatch:
    """Serialized ``tf.Example`` messages. ``context`` is one whose features every example gets; empty for none."""

    serialized: Sequence[bytes]
    context: bytes = b""


@dataclass(frozen=True, slots=True)
class Classifications:
    """Classes of each example: ``labels`` (object, text) and ``scores`` (float32), both [N, K]."""

    labels: NDArray[Any]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class VersionStatus:
    """State of one version (``AVAILABLE``, ``LOADING``…), and the error that caused it."""

    state: str
    error_code: str = "OK"
    error_message: str = ""

    @property
    def failed(self) -> bool:
        """Whether an error keeps the version from being served."""
        return self.state != "AVAILABLE" and self.error_code != "OK"


class ModelServer(Protocol):
    """Loads model versions and runs their signatures.

    Deadlines are times of the event loop, timeouts are seconds. Every method but ``close`` raises ``GatewayError``:
    ``Unavailable`` if the model server cannot be reached, ``VersionGone`` if it does not have the version (any more),
    ``BadTensor`` if the model refuses the input, ``Overloaded``, ``DeadlineExceeded``, ``TooLarge``, ``Unimplemented``,
    and ``BadUpstream`` for failures and unreadable responses.
    """

    async def predict(
        self,
        model: str,
        version: int,
        signature: Signature,
        parts: Sequence[Arrays],
        deadline: float,
        metadata: Metadata | None = None,
    ) -> Outputs:
        """Run a signature once; return all its outputs.

        Args:
            model: the model's name.
            version: the version's number.
            signature: one of the version's signatures.
            parts: the inputs of one or more requests, whose rows form one batch in this order. They fit the signature
                and differ in their first size only. A single part may have any shape.
            deadline: when the call ends at the latest.
            metadata: the trace of the call.
        """
        ...

    async def classify(
        self, model: str, version: int, signature: str, examples: ExampleBatch, deadline: float
    ) -> Classifications:
        """Classify examples by the signature of that name."""
        ...

    async def regress(
        self, model: str, version: int, signature: str, examples: ExampleBatch, deadline: float
    ) -> NDArray[np.float32]:
        """Return one number for each example, shape [N], by the signature of that name."""
        ...

    async def signatures(self, model: str, version: int, timeout: float) -> dict[str, Signature]:
        """Return a version's signatures by name."""
        ...

    async def metadata(self, model: str, version: int, timeout: float) -> dict[str, Any]:
        """Return a version's signatures as TensorFlow Serving's REST API writes them: SignatureDefs by name."""
        ...

    async def status(self, model: str, timeout: float) -> dict[int, VersionStatus]:
        """Return the versions of a model that the model server knows; none if it does not know the model."""
        ...

    def notes(self, model: str) -> list[str]:
        """Say which versions and signatures of a model are not served, and what to do."""
        ...

    async def close(self) -> None:
        """Release connections, threads and models."""
        ...
