"""The Open Inference Protocol v2 (KServe, Triton, …): tensors in and out, for models with and without a card.

``infer`` is a hot path; what only tells about the server and its models is on FastAPI. A signature other than
``serving_default`` is asked for by the request parameter ``signature_name``.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter
from fastapi import Response as FastAPIResponse
from pydantic import BaseModel, Field

from serving.gateway.api.models import ModelName, VersionNumber
from serving.gateway.codecs import large_json as large
from serving.gateway.codecs import open_inference as inference_protocol
from serving.gateway.codecs import open_inference_response as encode_inference
from serving.gateway.codecs import open_inference_types as datatypes
from serving.gateway.http.paths import Target
from serving.gateway.http.request import JSON, Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, fitting
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, VersionChoice, choose
from serving.gateway.models.signature import TensorSpec
from serving.gateway.protocols.native import respond

BINARY = "binary_tensor_data"
_HEADER_LENGTH = b"inference-header-content-length"


class OpenInferenceProtocol:
    """``POST /v2/models/M[/versions/N]/infer``."""

    def __init__(self, predictor: Predictor, limits: InputLimits) -> None:
        self._predictor = predictor
        self._limits = limits

    async def infer(self, request: Request, target: Target, servable: ModelVersion, body: bytes) -> Response:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the input does not fit the signature, or the model server failed.
        """
        memory = request.memory
        header_length = request.header(_HEADER_LENGTH)
        asked = await large.aside(
            memory,
            len(body),
            inference_protocol.read,
            body,
            header_length,
            target.model,
            target.wanted.version,
            memory,
        )
        wanted = target.wanted
        if asked.version != wanted.version:  # the body alone names it
            wanted = VersionChoice(version=asked.version)
            servable = self._predictor.route(request, target.model, wanted, target.scope)

        def call(servable: ModelVersion) -> ModelCall:
            signature = servable.signature(asked.signature_name or servable.default_signature)
            encode_inference.wanted(asked.outputs, asked.binary, signature)  # known before anything is sent
            arrays = inference_protocol.arrays(asked, signature)
            return fitting(servable, signature, arrays, self._limits, splits=True)

        async def prepare(servable: ModelVersion) -> ModelCall:
            return await large.aside(memory, len(body) - asked.taken_as_it_is, call, servable)

        result = await self._predictor.run(servable, wanted, prepare, request)
        outputs = encode_inference.wanted(asked.outputs, asked.binary, result.call.signature)
        cost = encode_inference.cost(result.outputs, outputs)
        memory.hold(cost)
        content, json_size = await large.aside(
            memory, max(result.outputs.size, cost), encode_inference.answer, result, asked.id, outputs
        )
        made = respond(result.version, content, JSON if json_size is None else b"application/octet-stream")
        if json_size is not None:
            made.headers = [*made.headers, (_HEADER_LENGTH, b"%d" % json_size)]
        return made


class ServerMetadata(BaseModel):
    name: str = "vitrine"
    version: str = "1"
    extensions: list[str] = [BINARY]


class ServerLive(BaseModel):
    live: bool = True


class ServerReady(BaseModel):
    ready: bool


class ModelReady(BaseModel):
    name: Annotated[str, Field(examples=["fashion_cnn"])]
    ready: bool = True


class TensorMetadata(BaseModel):
    name: Annotated[str, Field(examples=["image"])]
    datatype: Annotated[str, Field(examples=["UINT8"])]
    shape: Annotated[list[int], Field(description="-1 is free", examples=[[-1, 28, 28, 1]])]


class ModelMetadata(BaseModel):
    """A model's tensors, by the signature that answers where none is named."""

    name: Annotated[str, Field(examples=["fashion_cnn"])]
    versions: Annotated[list[str], Field(examples=[["1"]])]
    platform: str = "tensorflow_savedmodel"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


def router(models: Callable[[], Mapping[str, ModelState]], ready: Callable[[], bool]) -> APIRouter:
    """The routes. ``models`` says what is known now, ``ready`` whether requests can be answered."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    def metadata(model: str, wanted: VersionChoice) -> ModelMetadata:
        servable = choose(models(), model, wanted)
        signature = servable.signature(servable.default_signature)
        return ModelMetadata(
            name=model,
            versions=[str(version) for version in models()[model].versions],
            inputs=[_tensor(spec) for spec in signature.inputs.values()],
            outputs=[_tensor(spec) for spec in signature.outputs.values()],
        )

    @routes.get("", summary="What is this server?")
    async def server_metadata() -> ServerMetadata:
        return ServerMetadata()

    @routes.get("/health/live", summary="Is the process alive?")
    async def server_live() -> ServerLive:
        return ServerLive()

    @routes.get(
        "/health/ready",
        summary="Can requests be answered?",
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

    @routes.get("/models/{model}/ready", summary="Does a model answer?")
    async def model_ready(model: ModelName) -> ModelReady:
        choose(models(), model, VersionChoice())
        return ModelReady(name=model)

    @routes.get("/models/{model}/versions/{version}/ready", summary="Does a version answer?")
    async def model_version_ready(model: ModelName, version: VersionNumber) -> ModelReady:
        choose(models(), model, VersionChoice(version=version))
        return ModelReady(name=model)

    return routes


def _tensor(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(
        name=spec.name,
        datatype=datatypes.NAMES.get(spec.data_type, str(spec).split(" ")[0].upper()),
        shape=[-1 if size is None else size for size in spec.shape or (None,)] if spec.shape != () else [],
    )
