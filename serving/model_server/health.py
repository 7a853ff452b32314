"""gRPC's health service, for ``--enable_grpc_healthcheck_service``.

Source: grpc/health/v1/health.proto; as in tensorflow_serving/model_servers/server.cc both services are SERVING from the
start and never anything else.
"""

import asyncio
from collections.abc import AsyncIterator

import grpc
from google.protobuf import wrappers_pb2

_SERVICES = ("", "ModelService", "PredictionService")
_SERVING = b"\x08\x01"  # a HealthCheckResponse
_SERVICE_UNKNOWN = b"\x08\x03"


def handler() -> grpc.GenericRpcHandler:
    """The service as gRPC serves it."""
    methods = {
        "Check": grpc.unary_unary_rpc_method_handler(_check),
        "Watch": grpc.unary_stream_rpc_method_handler(_watch),
    }
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)


async def _check(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    if _service(data) not in _SERVICES:
        await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
    return _SERVING


async def _watch(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
    yield _SERVING if _service(data) in _SERVICES else _SERVICE_UNKNOWN
    await asyncio.Event().wait()  # until the caller has enough: nothing ever changes


def _service(data: bytes) -> str:
    """The name in a HealthCheckRequest, which has the form of a StringValue."""
    return wrappers_pb2.StringValue.FromString(data).value
