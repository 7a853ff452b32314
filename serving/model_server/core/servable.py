"""One loaded version: its signatures, and the engines that run them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.core.signature import ServableSignature, ServableSignatures
from serving.model_server.engines.base import Engine
from serving.model_server.engines.onnx import OnnxEngine
from serving.tfs_api.tensors import Array

#: Seconds that a run may take to be done in the event loop; one that takes longer is done in a thread.
MOMENT = 0.003


@dataclass(frozen=True, slots=True)
class SignatureCall:
    """What one request asks of a servable, checked: see :mod:`serving.model_server.grpc_api.predict`."""

    signature: ServableSignature
    inputs: Mapping[str, Array]
    outputs: Sequence[str]

    @property
    def rows(self) -> int:
        """The batch size, as far as the inputs have one."""
        return max((len(array) for array in self.inputs.values() if array.ndim), default=1)


class Servable:
    """Signatures, each run by the ONNX twin where that has it, else by TensorFlow, loaded when first needed.

    A ``strict`` one takes tensors of its signatures' shapes alone, so that both its engines refuse the same; any other
    takes, as in TensorFlow Serving, whatever the ops of its graph take. ``batching`` says how its calls are merged;
    None: not at all.
    """

    def __init__(
        self,
        signatures: ServableSignatures,
        twin: OnnxEngine | None,
        open_saved_model: Callable[[], Engine],
        *,
        strict: bool = True,
        batching: BatchingParameters | None = None,
    ) -> None:
        self.strict = strict
        self.batching = batching
        self.signatures = signatures.by_name
        self.signature_def_map = signatures.signature_def_map
        self._twin = twin
        self._open_saved_model = open_saved_model
        self._saved_model: Engine | None = None
        self._opening = threading.Lock()
        self._seconds_per_row: dict[str, float] = {}

    @property
    def has_twin(self) -> bool:
        """Whether the ONNX twin runs what it can."""
        return self._twin is not None

    def has_quick_engine(self, signature: str) -> bool:
        """Whether the twin runs this signature."""
        return self._twin is not None and signature in self._twin.signatures

    def estimate(self, call: SignatureCall) -> float:
        """Seconds that the call will take, judged by those before it; infinite before the first."""
        return self.expect(call.signature.name, call.rows)

    def expect(self, signature: str, rows: int) -> float:
        """The same for so many rows."""
        return self._seconds_per_row.get(signature, float("inf")) * max(rows, 1)

    def run(self, call: SignatureCall) -> list[Array]:
        """The outputs that the call asks for, in its order.

        Raises:
            ServingError: see :meth:`serving.model_server.engines.base.Engine.run`.
        """
        name = call.signature.name
        engine = self._engine(name)
        started = time.perf_counter()
        arrays = engine.run(name, call.inputs, call.outputs)
        took = (time.perf_counter() - started) / max(call.rows, 1)
        before = self._seconds_per_row.get(name, took)
        self._seconds_per_row[name] = 0.7 * before + 0.3 * took
        return arrays

    def is_open(self, signature: str) -> bool:
        """Whether the engine that runs this signature is loaded."""
        return self.has_quick_engine(signature) or self._saved_model is not None

    def open(self) -> Engine:
        """Load the SavedModel now rather than at its first use; takes seconds.

        Raises:
            ServingError: it cannot be loaded.
        """
        with self._opening:
            if self._saved_model is None:
                self._saved_model = self._open_saved_model()
            return self._saved_model

    def _engine(self, signature: str) -> Engine:
        if self._twin is not None and signature in self._twin.signatures:
            return self._twin
        return self._saved_model or self.open()
