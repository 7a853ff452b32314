"""The RPCs of the Open Inference Protocol besides ModelInfer, as POST routes with messages as bodies.

``serving/gateway/oip_grpc`` passes the calls on to these paths.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from fastapi import APIRouter, Request, Response
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from pydantic import BaseModel

from serving.gateway.api import small_body
from serving.gateway.errors import BadDocument
from serving.gateway.http.authentication import check_reach
from serving.gateway.http.keys_file import Key
from serving.gateway.http.paths import GRPC_SERVICE, number
from serving.gateway.oip_grpc import messages
from serving.gateway.protocols.open_inference.documents import ServerLive, ServerMetadata, ServerReady
from serving.gateway.protocols.open_inference.infer import MESSAGE
from serving.gateway.protocols.open_inference.model_reports import ModelReports

Fields = BaseModel | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rpc:
    """The request's message, and the caller's key."""

    message: Any
    key: Key | None

    @property
    def model(self) -> str:
        """The model that the message names.

        Raises:
            Forbidden: the key is for other models.
        """
        name: str = self.message.name
        check_reach(self.key, name)
        return name

    @property
    def version(self) -> int | None:
        """The version that the message names, if any.

        Raises:
            UnknownVersion: it is not a number.
        """
        return number(self.message.version or None)


def router(reports: ModelReports, deadline_seconds: float) -> APIRouter:
    """Return the routes; ``deadline_seconds`` is the time limit for a request's body."""
    routes = APIRouter(prefix=GRPC_SERVICE.rstrip("/"), include_in_schema=False)
    for name, answer in _answers(reports).items():
        routes.add_api_route(f"/{name}", _route(name, answer, deadline_seconds), methods=["POST"])
    return routes


def _answers(reports: ModelReports) -> dict[str, Callable[[Rpc], Fields | Awaitable[Fields]]]:
    """Return functions from an RPC's request to the fields of its response."""
    return {
        "ServerLive": lambda rpc: ServerLive(),
        "ServerReady": lambda rpc: ServerReady(ready=reports.is_ready()),
        "ServerMetadata": lambda rpc: ServerMetadata(),
        "ModelReady": lambda rpc: {"ready": reports.is_model_ready(rpc.model, rpc.version)},
        "ModelMetadata": lambda rpc: reports.metadata(rpc.model, rpc.version),
        "ModelConfig": lambda rpc: {"config": reports.config(rpc.model, rpc.version).model_dump()},
        "ModelStatistics": lambda rpc: reports.statistics(rpc.key, rpc.model if rpc.message.name else "", rpc.version),
        "RepositoryIndex": lambda rpc: {
            "models": [entry.model_dump() for entry in reports.index(rpc.key, rpc.message.ready)]
        },
        "RepositoryModelLoad": lambda rpc: reports.refuse_loading(),
        "RepositoryModelUnload": lambda rpc: reports.refuse_loading(),
    }


def _route(
    name: str, answer: Callable[[Rpc], Fields | Awaitable[Fields]], deadline_seconds: float
) -> Callable[[Request], Awaitable[Response]]:
    request_class, response_class = getattr(messages, f"{name}Request"), getattr(messages, f"{name}Response")

    async def route(request: Request) -> Response:
        body = await small_body.read(request, deadline_seconds)
        try:
            message = request_class.FromString(body)
        except DecodeError:
            raise BadDocument(f"the request is not a message of type inference.{name}Request") from None
        found = answer(Rpc(message, request.state.key))
        fields = await found if isawaitable(found) else found
        document = fields.model_dump() if isinstance(fields, BaseModel) else fields
        return Response(ParseDict(document, response_class()).SerializeToString(), media_type=MESSAGE.decode("ascii"))

    return route
