"""A loaded version: its signatures, and the engines that run them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.core.signature import ServableSignature, ServableSignatures
from serving.model_server.engines.base import Engine
from serving.model_server.engines.onnx import OnnxEngine
from serving.tfs_api.tensors import Array

#: Longest expected run, in seconds, that the event loop makes itself. A longer run goes to a thread.
MAX_SECONDS_IN_LOOP = 0.005
_NEWEST_RUN_WEIGHT = 0.3  # EWMA weight of the newest run time


class SignatureCall(NamedTuple):
    """Checked inputs of a signature and the outputs to compute (:mod:`serving.model_server.inference.predict`)."""

    signature: ServableSignature
    inputs: Mapping[str, Array]
    outputs: Sequence[str]

    @property
    def rows(self) -> int:
        """The batch size, at least 1."""
        rows = 1
        for array in self.inputs.values():
            if array.ndim and len(array) > rows:
                rows = len(array)
        return rows


class Servable:
    """Signatures, each run by the ONNX export if it has them, otherwise by the SavedModel."""

    def __init__(
        self,
        signatures: ServableSignatures,
        onnx_engine: OnnxEngine | None,
        open_saved_model: Callable[[], Engine],
        *,
        strict: bool = True,
        batching: BatchingParameters | None = None,
    ) -> None:
        """Create a servable.

        Args:
            signatures: The signatures of the SavedModel.
            onnx_engine: The ONNX export, if the version has one.
            open_saved_model: Loads the other engine. Called before the first run that needs it.
            strict: Accept only shapes that fit the signature, so that both engines reject the same inputs. Otherwise
                the graph decides, as in TensorFlow Serving.
            batching: How calls are merged; None for no batching.
        """
        self.strict = strict
        self.batching = batching
        self.signatures = signatures.by_name
        self.signature_def_map = signatures.signature_def_map
        self._onnx_engine = onnx_engine
        self._open_saved_model = open_saved_model
        self._saved_model: Engine | None = None
        self._opening = threading.Lock()
        self._seconds_per_row: dict[str, float] = {}

    @property
    def has_onnx_export(self) -> bool:
        """Whether an ONNX export runs the signatures that it has."""
        return self._onnx_engine is not None

    def runs_with_onnx(self, signature: str) -> bool:
        """Return whether the ONNX export runs this signature."""
        return self._onnx_engine is not None and signature in self._onnx_engine.signatures

    def estimate(self, call: SignatureCall) -> float:
        """Return the expected run time of a call in seconds; infinity before the first run."""
        return self.expect(call.signature.name, call.rows)

    def expect(self, signature: str, rows: int) -> float:
        """Return the expected run time of a signature for a batch size."""
        return self._seconds_per_row.get(signature, float("inf")) * max(rows, 1)

    def run(self, call: SignatureCall) -> list[Array]:
        """Return the outputs of a call, in its order.

        Raises:
            ServingError: See :meth:`serving.model_server.engines.base.Engine.run`.
        """
        name = call.signature.name
        engine = self._engine(name)
        # onnxruntime works in the calling thread, whose processor time does not depend on the machine's load.
        # TensorFlow works in threads of its own, so only the elapsed time says how long the caller is blocked.
        clock = time.thread_time if engine is self._onnx_engine else time.perf_counter
        started = clock()
        arrays = engine.run(name, call.inputs, call.outputs)
        seconds = (clock() - started) / call.rows
        before = self._seconds_per_row.get(name, seconds)
        self._seconds_per_row[name] = (1 - _NEWEST_RUN_WEIGHT) * before + _NEWEST_RUN_WEIGHT * seconds
        return arrays

    def is_open(self, signature: str) -> bool:
        """Return whether the engine that runs this signature is loaded."""
        return self.runs_with_onnx(signature) or self._saved_model is not None

    def open(self) -> Engine:
        """Load the SavedModel before its first use; this takes seconds.

        Raises:
            ServingError: The SavedModel cannot be loaded.
        """
        with self._opening:
            if self._saved_model is None:
                self._saved_model = self._open_saved_model()
            return self._saved_model

    def _engine(self, signature: str) -> Engine:
        if self._onnx_engine is not None and signature in self._onnx_engine.signatures:
            return self._onnx_engine
        return self._saved_model or self.open()
