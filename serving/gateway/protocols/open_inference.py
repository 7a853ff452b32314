"""The Open Inference Protocol v2 (KServe, Triton, …): tensors in and out.

The request parameter ``signature_name`` selects another signature than ``serving_default``. Health and metadata are
FastAPI routes.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Response as FastAPIResponse
from pydantic import BaseModel, Field

from serving.gateway.api.models import ModelName, VersionNumber
from serving.gateway.codecs.offload import offload
from serving.gateway.codecs.open_inference import grpc_messages
from serving.gateway.codecs.open_inference import request as request_codec
from serving.gateway.codecs.open_inference import response as response_codec
from serving.gateway.codecs.open_inference.tensor_types import DATATYPES
from serving.gateway.http.paths import Target
from serving.gateway.http.request import JSON, Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, validated_call
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, VersionChoice, choose
from serving.gateway.models.signature import TensorSpec
from serving.gateway.protocols.native import respond

BINARY = "binary_tensor_data"
#: Media type of a serialized message.
MESSAGE = b"application/x-protobuf"
_HEADER_LENGTH = b"inference-header-content-length"


class OpenInferenceProtocol:
    """``POST /v2/models/M[/versions/N]/infer``."""

    def __init__(self, predictor: Predictor, limits: InputLimits) -> None:
        self._predictor = predictor
        self._limits = limits

    async def infer(
        self,
        request: Request,
        target: Target,
        version: ModelVersion,
        body: bytes,
        message: Mapping[str, Any] | None = None,
    ) -> Response:
        """Answer a request that was routed to the version.

        Args:
            request: the request.
            target: model, and version if the path names one.
            version: the version that it was routed to.
            body: JSON, and binary tensors behind it.
            message: the object of a ModelInferRequest, which is then the body, and gets a ModelInferResponse.

        Raises:
            GatewayError: the input does not fit the signature, or the model server failed.
        """
        memory = request.memory
        choice = target.choice
        if message is not None:
            parsed = request_codec.request_of(message, target.model, choice.version)
        else:
            header_length = request.header(_HEADER_LENGTH)
            parsed = await offload(
                memory, len(body), request_codec.read, body, header_length, target.model, choice.version, memory
            )
        if parsed.version != choice.version:  # only the body names a version
            choice = VersionChoice(version=parsed.version)
            version = self._predictor.route(request, target.model, choice, target.scope)

        def call(version: ModelVersion) -> ModelCall:
            signature = version.signature(parsed.signature_name or version.default_signature)
            response_codec.selected(parsed.outputs, parsed.binary, signature)  # fail before the model is called
            arrays = request_codec.arrays(parsed, signature)
            return validated_call(version, signature, arrays, self._limits, splits=True)

        async def prepare(version: ModelVersion) -> ModelCall:
            return await offload(memory, len(body) - parsed.uncopied_bytes, call, version)

        result = await self._predictor.run(version, choice, prepare, request)
        outputs = response_codec.selected(parsed.outputs, parsed.binary, result.call.signature)
        if message is not None:
            cost = grpc_messages.cost(result.outputs, outputs)
            memory.hold(cost)
            answer = grpc_messages.answer
            content = await offload(memory, max(result.outputs.size, cost), answer, result, parsed.id, outputs)
            return respond(result.version, content, MESSAGE)
        cost = response_codec.cost(result.outputs, outputs)
        memory.hold(cost)
        content, json_size = await offload(
            memory, max(result.outputs.size, cost), response_codec.answer, result, parsed.id, outputs
        )
        response = respond(result.version, content, JSON if json_size is None else b"application/octet-stream")
        if json_size is not None:
            response.headers = [*response.headers, (_HEADER_LENGTH, b"%d" % json_size)]
        return response


class ServerMetadata(BaseModel):
    """Name, version and extensions of the server."""

    name: str = "vitrine"
    version: str = "1"
    extensions: list[str] = [BINARY]


class ServerLive(BaseModel):
    """The process is alive."""

    live: bool = True


class ServerReady(BaseModel):
    """Whether the gateway can answer requests."""

    ready: bool


class ModelReady(BaseModel):
    """A model or version that can answer requests."""

    name: Annotated[str, Field(examples=["fashion_cnn"])]
    ready: bool = True


class TensorMetadata(BaseModel):
    """One input or output."""

    name: Annotated[str, Field(examples=["image"])]
    datatype: Annotated[str, Field(examples=["UINT8"])]
    shape: Annotated[list[int], Field(description="-1 for a size that may vary", examples=[[-1, 28, 28, 1]])]


class ModelMetadata(BaseModel):
    """The tensors of a model's default signature."""

    name: Annotated[str, Field(examples=["fashion_cnn"])]
    versions: Annotated[list[str], Field(examples=[["1"]])]
    platform: str = "tensorflow_savedmodel"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


def router(models: Callable[[], Mapping[str, ModelState]], ready: Callable[[], bool]) -> APIRouter:
    """Return the routes.

    Args:
        models: returns the current state of the models.
        ready: returns whether the gateway can answer requests.
    """
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    def metadata(model: str, choice: VersionChoice) -> ModelMetadata:
        version = choose(models(), model, choice)
        signature = version.signature(version.default_signature)
        return ModelMetadata(
            name=model,
            versions=[str(version) for version in models()[model].versions],
            inputs=[_tensor(spec) for spec in signature.inputs.values()],
            outputs=[_tensor(spec) for spec in signature.outputs.values()],
        )

    @routes.get("", summary="Metadata of the server")
    async def server_metadata() -> ServerMetadata:
        return ServerMetadata()

    @routes.get("/health/live", summary="Is the process alive?")
    async def server_live() -> ServerLive:
        return ServerLive()

    @routes.get(
        "/health/ready",
        summary="Can the gateway answer requests?",
        responses={503: {"model": ServerReady, "description": "Not ready; `/readyz` says why."}},
    )
    async def server_ready(response: FastAPIResponse) -> ServerReady:
        if not ready():
            response.status_code = 503
        return ServerReady(ready=ready())

    @routes.get("/models/{model}", summary="Tensors of a model")
    async def model_metadata(model: ModelName) -> ModelMetadata:
        return metadata(model, VersionChoice())

    @routes.get("/models/{model}/versions/{version}", summary="Tensors of a version")
    async def model_version_metadata(model: ModelName, version: VersionNumber) -> ModelMetadata:
        return metadata(model, VersionChoice(version=version))

    @routes.get("/models/{model}/ready", summary="Is a model ready?")
    async def model_ready(model: ModelName) -> ModelReady:
        choose(models(), model, VersionChoice())
        return ModelReady(name=model)

    @routes.get("/models/{model}/versions/{version}/ready", summary="Is a version ready?")
    async def model_version_ready(model: ModelName, version: VersionNumber) -> ModelReady:
        choose(models(), model, VersionChoice(version=version))
        return ModelReady(name=model)

    return routes


def _tensor(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(
        name=spec.name,
        datatype=DATATYPES.get(spec.data_type, str(spec).split(" ")[0].upper()),
        shape=[-1 if size is None else size for size in spec.shape or (None,)] if spec.shape != () else [],
    )
