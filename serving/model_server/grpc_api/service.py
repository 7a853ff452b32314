"""The RPCs of PredictionService and ModelService: request bytes to response bytes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import DecodeError

from serving.artifacts import models_config
from serving.artifacts.models_config import ConfigError
from serving.model_server.errors import internal, invalid_argument, resource_exhausted
from serving.model_server.grpc_api import responses
from serving.model_server.grpc_api.message_limits import check_elements
from serving.model_server.grpc_api.server import UnaryMethod
from serving.model_server.inference import requests
from serving.model_server.inference.inference import Inference, predict_outputs
from serving.tfs_api import messages, methods

_SIGNATURE_DEF = "signature_def"
_LARGE_MESSAGE = 2**18  # bytes; decoding more would delay other calls


class GrpcService:
    """The RPCs. They raise :class:`~serving.model_server.errors.ServingError`."""

    def __init__(self, inference: Inference, *, as_content: bool = False) -> None:
        """Create the RPCs; ``as_content`` answers in ``tensor_content``, not in ``float_val`` etc."""
        self._inference = inference
        self._as_content = as_content

    def methods(self, max_calls: int = 0) -> Mapping[str, UnaryMethod]:
        """Return the RPCs by path. Calls beyond ``max_calls`` at the same time are rejected; 0 means no limit."""
        limit = _ConcurrencyLimit(max_calls)
        answers: dict[str, tuple[Callable[[Any, int], Awaitable[bytes]], Any]] = {
            methods.PREDICT: (self._predict, messages.PredictRequest),
            methods.CLASSIFY: (self._classify, messages.ClassificationRequest),
            methods.REGRESS: (self._regress, messages.RegressionRequest),
            methods.MULTI_INFERENCE: (self._multi_inference, messages.MultiInferenceRequest),
            methods.GET_MODEL_METADATA: (self._get_model_metadata, messages.GetModelMetadataRequest),
            methods.GET_MODEL_STATUS: (self._get_model_status, messages.GetModelStatusRequest),
            methods.RELOAD_CONFIG: (self._reload, messages.ReloadConfigRequest),
        }
        return {path: self._method(*answer, limit) for path, answer in answers.items()}

    def _method(
        self, respond: Callable[[Any, int], Awaitable[bytes]], message: Any, limit: "_ConcurrencyLimit"
    ) -> UnaryMethod:
        async def method(data: bytes) -> bytes:
            with limit:
                try:
                    request = await self._decoded(len(data), lambda: _decode(data, message))
                except DecodeError:
                    raise internal(f"the request is not a {message.DESCRIPTOR.full_name}") from None
                return await respond(request, len(data))

        return method

    async def _decoded(self, size: int, decode: Callable[[], Any]) -> Any:
        """Decode a small message here and a large one in a thread."""
        return decode() if size < _LARGE_MESSAGE else await self._inference.offload(decode)

    async def _predict(self, request: Any, size: int) -> bytes:
        with self._inference.metrics.request(request.model_spec.name, "Predict", "GRPC"):
            spec = _spec(request)
            with self._inference.core.handle(*_version(spec)) as handle:
                inputs = await self._decoded(size, lambda: requests.input_arrays(request.inputs))
                call = self._inference.prepare_predict(handle, inputs, spec.signature_name, request.output_filter)

                def finish(arrays: Any) -> bytes:
                    outputs = predict_outputs(handle, call, arrays[0])
                    return _encoded(responses.predict_response(outputs, as_content=self._as_content))

                return await self._inference.run(handle, "Predict", [call], finish)

    async def _classify(self, request: Any, size: int) -> bytes:
        with self._inference.metrics.request(request.model_spec.name, "Classify", "GRPC"):
            spec = _spec(request)
            examples = await self._decoded(size, lambda: requests.serialized_examples(request.input))
            model, version, label = _version(spec)
            outputs = await self._inference.classify(
                model, examples, signature=spec.signature_name, version=version, label=label
            )
            return _encoded(responses.classification_response(outputs))

    async def _regress(self, request: Any, size: int) -> bytes:
        with self._inference.metrics.request(request.model_spec.name, "Regress", "GRPC"):
            spec = _spec(request)
            examples = await self._decoded(size, lambda: requests.serialized_examples(request.input))
            model, version, label = _version(spec)
            outputs = await self._inference.regress(
                model, examples, signature=spec.signature_name, version=version, label=label
            )
            return _encoded(responses.regression_response(outputs))

    async def _multi_inference(self, request: Any, size: int) -> bytes:
        specs = [task.model_spec for task in request.tasks]
        with self._inference.metrics.request(specs[0].name if specs else "", "MultiInference", "GRPC"):
            model, version, label = _version(specs[0]) if specs else ("", None, None)
            self._inference.core.handle(model, version, label)
            for spec in specs:
                if not spec.name:
                    raise invalid_argument("Found ModelSpec with an empty model name.")
                if spec.name != model:
                    raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
            examples = await self._decoded(size, lambda: requests.serialized_examples(request.input))
            tasks = [(task.model_spec.signature_name, task.method_name) for task in request.tasks]
            handle, results = await self._inference.multi_inference(
                model, tasks, examples, version=version, label=label
            )
            return _encoded(responses.multi_inference_response(handle, results))

    async def _get_model_metadata(self, request: Any, size: int) -> bytes:
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid_argument(f"Metadata field {field} is not supported")
        model, version, label = _version(spec)
        signatures = self._inference.signatures(model, version=version, label=label)
        response = messages.GetModelMetadataResponse()
        response.model_spec.name = signatures.model
        response.model_spec.version.value = signatures.version
        metadata = response.metadata[_SIGNATURE_DEF]
        metadata.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        metadata.value = signatures.signature_def_map
        return _encoded(response)

    async def _get_model_status(self, request: Any, size: int) -> bytes:
        model, version, _ = _version(_spec(request))  # TensorFlow Serving ignores the label here
        return _encoded(responses.status_response(self._inference.status(model, version)))

    async def _reload(self, request: Any, size: int) -> bytes:
        if not request.config.HasField("model_config_list"):
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        try:
            models = models_config.from_message(request.config)
        except ConfigError as error:
            raise invalid_argument(str(error)) from None
        metrics = self._inference.metrics
        before = metrics.values(request.metric_names)
        await self._inference.core.reload(models)
        response = messages.ReloadConfigResponse()
        response.status.SetInParent()
        for name, value in metrics.values(request.metric_names).items():
            response.metric.add(name=name, int64_value_increase=value - before[name])
        return _encoded(response)


class _ConcurrencyLimit:
    """Counts calls, and rejects those beyond a limit."""

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._active = 0

    def __enter__(self) -> None:
        if 0 < self._max_calls <= self._active:
            raise resource_exhausted("Server Threadpool Exhausted")
        self._active += 1

    def __exit__(self, *raised: object) -> None:
        self._active -= 1


def _decode(data: bytes, message: Any) -> Any:
    if len(data) >= _LARGE_MESSAGE:
        check_elements(data, message.DESCRIPTOR)
    return message.FromString(data)


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec


def _version(spec: Any) -> tuple[str, int | None, str | None]:
    """Return model name, version number and label of a ModelSpec."""
    choice = spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return spec.name, number, spec.version_label if choice == "version_label" else None


def _encoded(message: Any) -> bytes:
    return bytes(message.SerializeToString())
