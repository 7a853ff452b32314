"""gRPC's health service, for ``--enable_grpc_healthcheck_service``.

Source: grpc/health/v1/health.proto. As in tensorflow_serving/model_servers/server.cc, the services are SERVING from the
start to the end.
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


class HealthService:
    """The methods of the health service."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    async def check(self, request: bytes) -> bytes:
        """Answer a HealthCheckRequest.

        Raises:
            ServingError: NOT_FOUND for an unknown service, INTERNAL for other bytes.
        """
        if _service(request) not in _SERVICES:
            raise not_found("service name unknown")
        return _SERVING

    async def watch(self, request: bytes) -> AsyncIterator[bytes]:
        """Answer a HealthCheckRequest once, and stay open until the caller or the server ends the call."""
        yield _SERVING if _service(request) in _SERVICES else _SERVICE_UNKNOWN
        await self._closed.wait()

    def close(self) -> None:
        """End all watches, so that they do not delay a graceful stop."""
        self._closed.set()


def _service(request: bytes) -> str:
    try:
        return messages.HealthCheckRequest.FromString(request).service
    except DecodeError:
        raise internal("the request is not a grpc.health.v1.HealthCheckRequest") from None
