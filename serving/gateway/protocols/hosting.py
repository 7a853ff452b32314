"""``/invocations``, ``/ping`` and ``/version``: the contracts of SageMaker, Vertex AI and MLflow's scoring server.

The body's content type decides: pictures, npy, multipart, JSON, JSON Lines or CSV. A JSON object has ``instances`` or
``inputs`` as with TensorFlow Serving, MLflow's ``dataframe_split`` or ``dataframe_records``, or the keys of the native
API.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from fastapi import Response as FastAPIResponse
from fastapi.responses import PlainTextResponse

from serving import __version__
from serving.gateway.codecs import body as body_codec
from serving.gateway.codecs import dataframes, tf_serving_json
from serving.gateway.codecs.body import JsonDocument, Payload
from serving.gateway.codecs.dataframes import DataFrame
from serving.gateway.codecs.offload import offload
from serving.gateway.errors import (
    BadDocument,
    BadOption,
    GatewayError,
    UnknownModel,
    UnknownVerb,
    UnsupportedMedia,
    listed,
)
from serving.gateway.http.authentication import check_scope
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.http.paths import PING, VERBS, Form, Target, number
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, VersionChoice, choose
from serving.gateway.protocols.native import NativeProtocol
from serving.gateway.protocols.tensorflow_serving import TensorFlowServingProtocol
from serving.tfs_api.rest_json.errors import json_type

log = logging.getLogger("vitrine.platform")

_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
_ATTRIBUTE = re.compile(r"\s*tfs-(model-name|model-version|method)=([^,]*)")
_JSON_LINES = frozenset({"application/jsonlines", "application/x-jsonlines", "application/x-ndjson"})
_CSV = "text/csv"
_PICTURE = "application/x-image"  # SageMaker's own name
_FRAMES: Mapping[str, Callable[[Any], DataFrame]] = {
    dataframes.SPLIT: dataframes.split,
    dataframes.RECORDS: dataframes.records,
}
_PARAMETERS = ("params", "parameters")  # of MLflow, of Vertex AI


class HostingProtocol:
    """Answers ``/invocations`` in the form that the body asks for."""

    def __init__(
        self,
        predictor: Predictor,
        native: NativeProtocol,
        tensorflow_serving: TensorFlowServingProtocol,
        default_model: str,
        *,
        mlflow: bool,
    ) -> None:
        """Configure the protocol.

        Args:
            predictor: routes requests.
            native: answers native requests.
            tensorflow_serving: answers requests with tensors.
            default_model: answers requests that name none; empty for the only model.
            mlflow: name the answer to ``inputs`` ``predictions``, as MLflow does.
        """
        self._predictor = predictor
        self._native = native
        self._tensorflow_serving = tensorflow_serving
        self._default_model = default_model
        self._columns_key = "predictions" if mlflow else "outputs"

    def target(self, request: Request, target: Target) -> Target:
        """Return the target with a model: the default one, or that of SageMaker's custom attributes.

        The attributes are those of SageMaker's TensorFlow Serving container: ``tfs-model-name``, ``tfs-model-version``
        and ``tfs-method``.

        Raises:
            UnknownModel: no model is named, and there is no default one.
            UnknownVersion, UnknownVerb: the attributes' version or method does not exist.
        """
        attributes = dict(_ATTRIBUTE.findall(request.header(_ATTRIBUTES))) if _ATTRIBUTES in request.headers else {}
        model = attributes.get("model-name") or self._default_model or only(self._predictor.models)
        choice, method = VersionChoice(number(attributes.get("model-version"))), attributes.get("method", "predict")
        if method not in VERBS:
            raise UnknownVerb(f"unknown tfs-method {method!r}; use {listed(VERBS)}")
        return Target(model, choice, target.verb if method == "predict" else method)

    async def invoke(
        self, request: Request, target: Target, version: ModelVersion, body: bytes, max_rows: int
    ) -> Response:
        """Answer a request that was routed to the version.

        Raises:
            GatewayError: the input does not fit, or the model server failed.
        """
        memory, media = request.memory, request.header(b"content-type")
        plain = version.card is None and version.card_problem is None
        content = await offload(memory, len(body), _read, body, media, max_rows, memory, plain)
        if isinstance(content, DataFrame):
            request.form = Form.PLAIN
            return await self._tensorflow_serving.rows(request, target, version, content)
        target = replace(target, verb="predict")
        if isinstance(content, JsonDocument):
            keys = _with_parameters(content.keys)
            frames = keys.keys() & _FRAMES.keys()
            if frames:
                request.form = Form.PLAIN
                if keys.keys() - frames - {"signature_name"} or len(frames) > 1:
                    raise BadDocument(f"{min(frames)} must be the only key beside params; sent: {listed(keys)}")
                (name,) = frames
                frame = await offload(memory, len(body), _FRAMES[name], keys[name])
                signature = tf_serving_json.named_signature(keys)
                return await self._tensorflow_serving.rows(request, target, version, frame, signature)
            if plain or tf_serving_json.is_request(keys):
                request.form = Form.PLAIN
                return await self._tensorflow_serving.predict(request, target, version, keys, self._columns_key)
            if "horizon" in keys and "forecast" in version.offers:
                target = replace(target, verb="forecast")
                if request.key is not None:
                    check_scope(request.key, target.model, target.scope)
            content = JsonDocument(keys)
        return await self._native.answer(request, target, version, content)


def only(models: Mapping[str, ModelState]) -> str:
    """Return the name of the only model.

    Raises:
        UnknownModel: there is none, or several.
    """
    if not models:
        raise UnknownModel("the gateway has no model yet; /readyz says why")
    if len(models) != 1:
        raise UnknownModel(
            f"this path names no model, and the gateway has {len(models)}: start it with --default-model=NAME "
            "(VITRINE_DEFAULT_MODEL)"
        )
    return next(iter(models))


def router(
    models: Callable[[], Mapping[str, ModelState]], default_model: str, is_ready: Callable[[], bool]
) -> APIRouter:
    """Return ``/ping`` and ``/version``.

    Args:
        models: returns the current state of the models.
        default_model: must answer before ``/ping`` is 200; empty for any model.
        is_ready: whether the gateway can answer for a model.
    """
    routes = APIRouter(tags=["hosting platforms"])
    logged = ""

    @routes.get(
        PING,
        summary="Can the default model answer?",
        description="For SageMaker, Vertex AI and MLflow: 200 if requests to `/invocations` can be answered, else 503.",
        responses={503: {"description": "Not ready."}},
        response_class=FastAPIResponse,
    )
    async def ping() -> FastAPIResponse:
        nonlocal logged
        reason = "" if is_ready() else "no model can answer; /readyz says why"
        if default_model and not reason:
            try:
                choose(models(), default_model, VersionChoice())
            except GatewayError as error:
                reason = f"the default model cannot answer: {error.message}"
        if reason and reason != logged:  # the answer has no body: it needs no key
            log.warning("%s is 503: %s", PING, reason)
        logged = reason
        return FastAPIResponse(status_code=503 if reason else 200)

    @routes.get("/version", summary="Version of the server", response_class=PlainTextResponse)
    async def version() -> str:
        return __version__

    return routes


def _read(body: bytes, content_type: str, max_rows: int, memory: Reservation, plain: bool) -> Payload | DataFrame:
    media = content_type.partition(";")[0].strip().lower()
    if media == _CSV:
        return dataframes.from_csv(body, memory)
    if media in _JSON_LINES:
        memory.hold(len(body))
        lines = body.strip().replace(b"\r", b"")
        while b"\n\n" in lines:
            lines = lines.replace(b"\n\n", b"\n")
        body, content_type = b'{"instances":[%b]}' % lines.replace(b"\n", b","), "application/json"
    elif media == _PICTURE:
        content_type = "image/*"
    try:
        return body_codec.read(body, content_type, max_rows, memory, plain)
    except UnsupportedMedia as error:
        raise UnsupportedMedia(f"{error.message}; here also {_CSV} and application/jsonlines") from None


def _with_parameters(keys: dict[str, Any]) -> dict[str, Any]:
    """Replace ``params`` or ``parameters`` by what they set.

    Raises:
        BadOption: they set something else than ``signature_name``, for which the models have no use.
    """
    found = {name: keys[name] for name in _PARAMETERS if name in keys}
    for name, value in found.items():
        if value is not None and not isinstance(value, dict):
            raise BadOption(f"{name} must be an object, not {json_type(value)}")
        if value and value.keys() != {"signature_name"}:
            raise BadOption(f"{name} may set signature_name only; sent: {listed(value)}")
    if not found:
        return keys
    rest = {name: value for name, value in keys.items() if name not in found}
    return rest | {key: value for one in found.values() for key, value in (one or {}).items()}
