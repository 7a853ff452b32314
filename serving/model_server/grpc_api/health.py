"""gRPC's health service, for ``--enable_grpc_healthcheck_service``.

Source: grpc/health/v1/health.proto; as in tensorflow_serving/model_servers/server.cc both services are SERVING from the
start and never anything else.
"""

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError

from serving.model_server.errors import internal, not_found
from serving.tfs_api import messages

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"

_SERVICES = ("", "ModelService", "PredictionService")
_SERVING = b"\x08\x01"  # a HealthCheckResponse
_SERVICE_UNKNOWN = b"\x08\x03"


async def check(request: bytes) -> bytes:
    if _service(request) not in _SERVICES:
        raise not_found("service name unknown")
    return _SERVING


async def watch(request: bytes) -> AsyncIterator[bytes]:
    yield _SERVING if _service(request) in _SERVICES else _SERVICE_UNKNOWN
    await asyncio.Event().wait()  # until the caller has enough: nothing ever changes


def _service(request: bytes) -> str:
    """Return the service's name in a HealthCheckRequest."""
    try:
        return messages.HealthCheckRequest.FromString(request).service
    except DecodeError:
        raise internal("the bytes sent are no grpc.health.v1.HealthCheckRequest") from None
