"""Inference on arrays: which loaded version answers, and where its signature runs.

This module handles neither protobuf messages nor sockets. The gRPC service, the REST interface and the gateway's
embedded back end call it. Everything runs in one event loop. A run of up to
:data:`~serving.model_server.core.servable.MAX_SECONDS_IN_LOOP` happens in the loop, because a thread switch costs more
than the run. Any other run goes to a thread; onnxruntime and TensorFlow release the GIL.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from serving.model_server.batching.scheduler import Batcher
from serving.model_server.core.manager import ManagedVersion, ServableHandle
from serving.model_server.core.servable import MAX_SECONDS_IN_LOOP, SignatureCall
from serving.model_server.core.server_core import ServerCore
from serving.model_server.core.signature import ServableSignature
from serving.model_server.inference import classify_regress, predict
from serving.model_server.inference.classify_regress import ExampleTask, Method
from serving.model_server.metrics import ServerMetrics
from serving.tfs_api.tensors import Array

_RUNTIME = "TF1"  # TensorFlow Serving's label for a session, which both engines replace

T = TypeVar("T")


class PredictOutputs(NamedTuple):
    """Outputs of a signature by alias, and the version that made them."""

    model: str
    version: int
    signature: str
    arrays: dict[str, Array]


@dataclass(frozen=True, slots=True)
class ExampleOutputs(Generic[T]):
    """One result for each tf.Example, and the version that made them."""

    model: str
    version: int
    signature: str
    results: list[T]


@dataclass(frozen=True, slots=True)
class ModelSignatures:
    """Signatures of one version by name, and their SignatureDefMap in bytes."""

    model: str
    version: int
    by_name: Mapping[str, ServableSignature]
    signature_def_map: bytes


class Inference:
    """Runs signatures of loaded versions. Use it from one event loop.

    All methods raise :class:`~serving.model_server.errors.ServingError` with TensorFlow Serving's codes and messages.
    """

    def __init__(
        self,
        core: ServerCore,
        metrics: ServerMetrics,
        *,
        threads: int,
        batcher: Batcher | None = None,
        check_method_names: bool = False,
    ) -> None:
        """Create the interface to a core.

        Args:
            core: The loaded models. :meth:`close` closes it.
            metrics: Where runs are counted.
            threads: Number of long runs at the same time.
            batcher: Runs calls of versions that were loaded with batching.
            check_method_names: Reject signatures that were exported for another method.
        """
        self.core = core
        self.metrics = metrics
        self._batcher = batcher
        self._check_method = check_method_names
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="run")
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="open")

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, Array],
        *,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        outputs: Sequence[str] = (),
    ) -> PredictOutputs:
        """Run a signature (``serving_default`` if empty) on named arrays.

        Args:
            model: Name of the model.
            inputs: Arrays by alias; the first dimension is the batch where the signature has one.
            signature: Name of the signature.
            version: Version number; the newest available version if neither it nor a label is given.
            label: Version label.
            outputs: Aliases to compute, in this order; all of them if empty.
        """
        with self.core.handle(model, version, label) as handle:
            call = self.prepare_predict(handle, inputs, signature, outputs)
            return await self.run(handle, "Predict", [call], lambda arrays: predict_outputs(handle, call, arrays[0]))

    async def classify(
        self,
        model: str,
        examples: Sequence[bytes],
        *,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
    ) -> ExampleOutputs[list[tuple[str, float]]]:
        """Return label and score of each class for each serialized tf.Example."""
        with self.core.handle(model, version, label) as handle:
            task = self._prepare(handle, signature, examples, "classify")
            results = await self.run(
                handle, "Classify", [task.call], lambda arrays: classify_regress.classifications(task, arrays[0])
            )
            return ExampleOutputs(handle.model, handle.version, task.call.signature.name, results)

    async def regress(
        self,
        model: str,
        examples: Sequence[bytes],
        *,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
    ) -> ExampleOutputs[float]:
        """Return one number for each serialized tf.Example."""
        with self.core.handle(model, version, label) as handle:
            task = self._prepare(handle, signature, examples, "regress")
            results = await self.run(
                handle, "Regress", [task.call], lambda arrays: classify_regress.regressions(task, arrays[0])
            )
            return ExampleOutputs(handle.model, handle.version, task.call.signature.name, results)

    async def multi_inference(
        self,
        model: str,
        tasks: Sequence[tuple[str, str]],
        examples: Sequence[bytes],
        *,
        version: int | None = None,
        label: str | None = None,
    ) -> tuple[ServableHandle, list[tuple[ExampleTask, list[Array]]]]:
        """Run several signatures, given with their method names, on the same examples."""
        with self.core.handle(model, version, label) as handle:
            prepared = classify_regress.prepare_multi(handle.servable, tasks, examples, check_method=self._check_method)
            if prepared:
                self.metrics.count_examples(handle.model, len(examples))
            calls = [task.call for task in prepared]
            outputs = await self.run(handle, "MultiInference", calls, lambda arrays: arrays)
            return handle, list(zip(prepared, outputs, strict=True))

    def signatures(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelSignatures:
        """Return the signatures of a loaded version."""
        with self.core.handle(model, version, label) as handle:
            servable = handle.servable
            return ModelSignatures(handle.model, handle.version, servable.signatures, servable.signature_def_map)

    def status(self, model: str, version: int | None = None) -> list[ManagedVersion]:
        """Return the known versions of a model, newest first, or the one version."""
        return self.core.versions(model, version)

    def prepare_predict(
        self, handle: ServableHandle, inputs: Mapping[str, Array], signature: str, outputs: Sequence[str]
    ) -> SignatureCall:
        """Check arrays against a signature of a version; :meth:`run` takes the result."""
        return predict.prepare(handle.servable, signature, inputs, outputs, check_method=self._check_method)

    async def run(
        self,
        handle: ServableHandle,
        api: str,
        calls: Sequence[SignatureCall],
        finish: Callable[[Sequence[list[Array]]], T],
    ) -> T:
        """Run calls in batches, in the loop, or in a thread, and return what ``finish`` makes of their outputs.

        ``finish`` runs where the calls ran. ``api`` is a label of the latency metric.
        """
        servable = handle.servable
        started = time.perf_counter()

        if self._batcher and servable.batching:
            running = [self._batcher.run(servable, servable.batching, call) for call in calls]
            outputs = await asyncio.gather(*running) if len(running) > 1 else [await running[0]]
            self._count_run(handle.model, api, started)
            return finish(outputs)

        def run() -> T:
            outputs = [servable.run(call) for call in calls]
            self._count_run(handle.model, api, started)
            return finish(outputs)

        if sum(map(servable.estimate, calls)) < MAX_SECONDS_IN_LOOP:
            return run()
        if not all(servable.is_open(call.signature.name) for call in calls):
            await asyncio.get_running_loop().run_in_executor(self._opener, servable.open)
        return await self.offload(run)

    async def offload(self, work: Callable[[], T]) -> T:
        """Run work that would block the event loop in a thread. A cancelled call that has not started is dropped."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def close(self) -> None:
        """Stop batching, loading and watching."""
        await self.core.close()
        if self._batcher:
            self._batcher.close()
        for pool in (self._pool, self._opener):
            pool.shutdown(wait=False, cancel_futures=True)

    def _count_run(self, model: str, api: str, started: float) -> None:
        self.metrics.runtime_latency.of((model, api, _RUNTIME)).observe((time.perf_counter() - started) * 1e6)

    def _prepare(
        self, handle: ServableHandle, signature: str, examples: Sequence[bytes], method: Method
    ) -> ExampleTask:
        task = classify_regress.prepare(handle.servable, signature, examples, method, check_method=self._check_method)
        self.metrics.count_examples(handle.model, len(examples))
        return task


def predict_outputs(handle: ServableHandle, call: SignatureCall, arrays: Sequence[Array]) -> PredictOutputs:
    """Name the outputs of a call and the version that made them."""
    named = dict(zip(call.outputs, arrays, strict=True))
    return PredictOutputs(handle.model, handle.version, call.signature.name, named)
