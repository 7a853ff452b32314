"""The RPCs of PredictionService and ModelService.

Everything runs in one event loop. A model that answers within a moment is run right there, which spares the way to a
thread and back; one that takes longer is run in a thread, so that the others do not wait for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.protobuf.message import DecodeError

from serving.artifacts import models_config
from serving.artifacts.models_config import ConfigError
from serving.model_server.batching.scheduler import Batcher
from serving.model_server.core.manager import ServableHandle
from serving.model_server.core.servable import MOMENT, SignatureCall
from serving.model_server.core.server_core import ServerCore
from serving.model_server.errors import internal, invalid_argument, resource_exhausted
from serving.model_server.grpc_api import classify_regress as inference
from serving.model_server.grpc_api import predict as prediction
from serving.model_server.grpc_api.calls import Unary
from serving.model_server.metrics import ServerMetrics
from serving.tfs_api import messages
from serving.tfs_api.tensors import Array

_SIGNATURE_DEF = "signature_def"
_RUNTIME = "TF1"  # as TensorFlow Serving calls a session, which is what both engines stand for

_NO_TASK = messages.InferenceTask()

Respond = Callable[[Any], Awaitable[Any]]


class Service:
    """The RPCs, each from request to response; raises ServingError."""

    def __init__(
        self,
        core: ServerCore,
        metrics: ServerMetrics,
        *,
        threads: int,
        batcher: Batcher | None = None,
        as_content: bool = False,
        check_method_names: bool = False,
    ) -> None:
        """``threads`` run models that take long; the ``batcher`` runs those that are loaded with batching;
        ``as_content``: answer in tensor_content, not in float_val etc.; ``check_method_names``: Classify and Regress
        only by signatures that were exported for them."""
        self.core = core
        self.metrics = metrics
        self._batcher = batcher
        self._as_content = as_content
        self._check_method = check_method_names
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="run")
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="open")

    async def predict(self, request: Any) -> Any:
        with self.core.handle(_spec(request)) as handle:
            call = prediction.prepare(handle.servable, request, check_method=self._check_method)

            def respond(outputs: Sequence[Sequence[Array]]) -> Any:
                return prediction.respond(handle.model, handle.version, call, outputs[0], as_content=self._as_content)

            return await self.run(handle, "Predict", [call], respond)

    async def classify(self, request: Any) -> Any:
        with self.core.handle(_spec(request)) as handle:
            task = inference.prepare_classify(handle.servable, request, check_method=self._check_method)

            def respond(outputs: Sequence[Sequence[Array]]) -> Any:
                return inference.respond_classify(handle.model, handle.version, task, outputs[0])

            self.metrics.count_examples(handle.model, task.examples)
            return await self.run(handle, "Classify", [task.call], respond)

    async def regress(self, request: Any) -> Any:
        with self.core.handle(_spec(request)) as handle:
            task = inference.prepare_regress(handle.servable, request, check_method=self._check_method)

            def respond(outputs: Sequence[Sequence[Array]]) -> Any:
                return inference.respond_regress(handle.model, handle.version, task, outputs[0])

            self.metrics.count_examples(handle.model, task.examples)
            return await self.run(handle, "Regress", [task.call], respond)

    async def multi_inference(self, request: Any) -> Any:
        spec = request.tasks[0].model_spec if request.tasks else messages.ModelSpec()
        with self.core.handle(spec) as handle:
            tasks = inference.prepare_multi(handle.servable, request, check_method=self._check_method)

            def respond(outputs: Sequence[Sequence[Array]]) -> Any:
                return inference.respond_multi(handle.model, handle.version, tasks, outputs)

            for task in tasks[:1]:
                self.metrics.count_examples(handle.model, task.examples)
            return await self.run(handle, "MultiInference", [task.call for task in tasks], respond)

    async def run(
        self,
        handle: ServableHandle,
        api: str,
        calls: Sequence[SignatureCall],
        respond: Callable[[Sequence[Sequence[Array]]], Any],
    ) -> Any:
        """Run the calls and make the response of their outputs: in batches, here, or in a thread if it takes long."""
        servable = handle.servable
        started = time.perf_counter()

        def count() -> None:
            took = (time.perf_counter() - started) * 1e6
            self.metrics.runtime_latency.observe(took, handle.model, api, _RUNTIME)

        if self._batcher and servable.batching:
            running = [self._batcher.run(servable, servable.batching, call) for call in calls]
            outputs = await asyncio.gather(*running) if len(running) > 1 else [await running[0]]
            count()
            return respond(outputs)

        def run() -> Any:
            outputs = [servable.run(call) for call in calls]
            count()
            return respond(outputs)

        if sum(map(servable.estimate, calls)) < MOMENT:
            return run()
        loop = asyncio.get_running_loop()
        if not all(servable.is_open(call.signature.name) for call in calls):
            await loop.run_in_executor(self._opener, servable.open)
        return await self.in_thread(run)

    async def get_model_metadata(self, request: Any) -> Any:
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        response = messages.GetModelMetadataResponse()
        with self.core.handle(spec) as handle:
            response.model_spec.name = handle.model
            response.model_spec.version.value = handle.version
            packed = response.metadata[_SIGNATURE_DEF]
            packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
            packed.value = handle.servable.signature_def_map
        return response

    async def get_model_status(self, request: Any) -> Any:
        spec = _spec(request)
        response = messages.GetModelStatusResponse()
        for version in self.core.versions(spec):
            status = response.model_version_status.add(version=version.number, state=int(version.state))
            status.status.SetInParent()
            if version.error:
                status.status.error_code = int(version.error.code)
                status.status.error_message = version.error.message
        return response

    async def handle_reload_config_request(self, request: Any) -> Any:
        if not request.config.HasField("model_config_list"):
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        try:
            models = models_config.from_message(request.config)
        except ConfigError as error:
            raise invalid_argument(str(error)) from None
        before = self.metrics.values(request.metric_names)
        await self.core.reload(models)
        response = messages.ReloadConfigResponse()
        response.status.SetInParent()
        for name, value in self.metrics.values(request.metric_names).items():
            response.metric.add(name=name, int64_value_increase=value - before[name])
        return response

    async def in_thread(self, work: Callable[[], Any]) -> Any:
        """The result of work that would hold the loop for too long."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _counted(self, api: str, respond: Respond) -> Respond:
        async def answer(request: Any) -> Any:
            spec = (request.tasks[0] if request.tasks else _NO_TASK) if api == "MultiInference" else request
            with self.metrics.request(spec.model_spec.name, api, "GRPC"):
                return await respond(request)

        return answer

    def methods(self, most_calls: int = 0) -> dict[str, Unary]:
        """The RPCs by path, refused beyond ``most_calls`` at once (0: never)."""
        limit = _Limit(most_calls)
        listed: dict[str, tuple[Respond, Any]] = {
            "PredictionService/Predict": (self._counted("Predict", self.predict), messages.PredictRequest),
            "PredictionService/Classify": (
                self._counted("Classify", self.classify),
                messages.ClassificationRequest,
            ),
            "PredictionService/Regress": (self._counted("Regress", self.regress), messages.RegressionRequest),
            "PredictionService/MultiInference": (
                self._counted("MultiInference", self.multi_inference),
                messages.MultiInferenceRequest,
            ),
            "PredictionService/GetModelMetadata": (
                self.get_model_metadata,
                messages.GetModelMetadataRequest,
            ),
            "ModelService/GetModelStatus": (self.get_model_status, messages.GetModelStatusRequest),
            "ModelService/HandleReloadConfigRequest": (
                self.handle_reload_config_request,
                messages.ReloadConfigRequest,
            ),
        }
        return {f"/tensorflow.serving.{name}": _method(*method, limit) for name, method in listed.items()}

    def close(self) -> None:
        if self._batcher:
            self._batcher.close()
        for pool in (self._pool, self._opener):
            pool.shutdown(wait=False, cancel_futures=True)


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec


class _Limit:
    """How many calls are answered at once, and how many may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._active = 0

    def __enter__(self) -> None:
        if 0 < self._most <= self._active:
            raise resource_exhausted("Server Threadpool Exhausted")
        self._active += 1

    def __exit__(self, *raised: object) -> None:
        self._active -= 1


def _method(respond: Respond, request_type: Any, limit: _Limit) -> Unary:
    async def answer(data: bytes) -> bytes:
        with limit:
            try:
                request = request_type.FromString(data)
            except DecodeError:
                raise internal(f"the bytes sent are no {request_type.DESCRIPTOR.full_name}") from None
            response = await respond(request)
            return bytes(response.SerializeToString())

    return answer
