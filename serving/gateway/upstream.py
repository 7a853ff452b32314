"""The model server as seen from here: one gRPC channel, five calls, and what their failures mean.

Stubs are not needed: a channel calls a method by its path. Requests to Predict arrive as bytes that are encoded already
(``wire.py``).
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from serving.gateway.errors import (
    BadTensor,
    BadUpstream,
    DeadlineExceeded,
    GatewayError,
    Overloaded,
    Unavailable,
    Unimplemented,
    VersionGone,
)
from serving.gateway.route import VersionStatus
from serving.protos import (
    CLASSIFY,
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    PREDICT,
    REGRESS,
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

Metadata = Sequence[tuple[str, str]]

_RETRY_PAUSE = 0.05
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
_OPTIONS = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Where a host vanishes, nothing refuses: gRPC makes this time-out TCP_USER_TIMEOUT too, so that calls whose packets
    # nobody acknowledges fail within it and are made again elsewhere. A host that is merely slow does acknowledge.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # so long an attempt may take, TLS included
    ("grpc.max_reconnect_backoff_ms", 1_000),  # the default of two minutes would outlast a restart by far
    ("grpc.enable_retries", 0),  # the one retry is ours, within the deadline
    ("grpc.enable_http_proxy", 0),
]


class Upstream:
    """Calls to the model server at a gRPC target. Needs a running event loop."""

    def __init__(self, target: str, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        """``address`` is how the target is called in messages; with ``credentials`` the channel is by TLS."""
        self._address = address
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
        self._predict = self._channel.unary_unary(PREDICT, response_deserializer=predict_pb2.PredictResponse.FromString)
        self._classify = self._channel.unary_unary(
            CLASSIFY,
            request_serializer=classification_pb2.ClassificationRequest.SerializeToString,
            response_deserializer=classification_pb2.ClassificationResponse.FromString,
        )
        self._regress = self._channel.unary_unary(
            REGRESS,
            request_serializer=regression_pb2.RegressionRequest.SerializeToString,
            response_deserializer=regression_pb2.RegressionResponse.FromString,
        )
        self._metadata = self._channel.unary_unary(
            GET_MODEL_METADATA,
            request_serializer=get_model_metadata_pb2.GetModelMetadataRequest.SerializeToString,
            response_deserializer=get_model_metadata_pb2.GetModelMetadataResponse.FromString,
        )
        self._status = self._channel.unary_unary(
            GET_MODEL_STATUS,
            request_serializer=get_model_status_pb2.GetModelStatusRequest.SerializeToString,
            response_deserializer=get_model_status_pb2.GetModelStatusResponse.FromString,
        )

    async def predict(self, request: bytes, deadline: float, metadata: Metadata | None = None) -> Any:
        """The PredictResponse to an encoded PredictRequest. ``deadline`` is a time of the event loop, ``metadata`` goes
        along with the call.

        Raises:
            GatewayError: see :func:`failure`.
        """
        return await self._call(self._predict, request, deadline, metadata)

    async def classify(self, request: Any, deadline: float) -> Any:
        """The ClassificationResponse to a ClassificationRequest. Raises as :meth:`predict`."""
        return await self._call(self._classify, request, deadline)

    async def regress(self, request: Any, deadline: float) -> Any:
        """The RegressionResponse to a RegressionRequest. Raises as :meth:`predict`."""
        return await self._call(self._regress, request, deadline)

    async def signature_defs(self, model: str, version: int, timeout: float) -> Mapping[str, Any]:
        """SignatureDef messages of a version, by name.

        Raises:
            GatewayError: see :func:`failure`; :class:`BadUpstream` too where the answer cannot be read.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        request.model_spec.version.value = version
        response = await self._call(self._metadata, request, asyncio.get_running_loop().time() + timeout)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        if not response.metadata["signature_def"].Unpack(signatures):
            raise BadUpstream(f"the model server's metadata of {model} version {version} holds no signatures")
        return dict(signatures.signature_def)

    async def status(self, model: str, timeout: float) -> dict[int, VersionStatus]:
        """The versions of a model that the model server knows; none where it does not know the model.

        Raises:
            GatewayError: see :func:`failure`.
        """
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        try:
            response = await self._call(self._status, request, asyncio.get_running_loop().time() + timeout)
        except VersionGone:
            return {}
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {
            int(one.version): VersionStatus(
                name(one.state), _CODES.get(one.status.error_code, "UNKNOWN"), one.status.error_message
            )
            for one in response.model_version_status
        }

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, method: Any, request: Any, deadline: float, metadata: Metadata | None = None) -> Any:
        loop = asyncio.get_running_loop()
        retried = False
        while True:
            timeout = deadline - loop.time()
            if timeout <= 0:
                raise DeadlineExceeded("the model server did not answer within the deadline")
            try:
                return await method(request, timeout=timeout, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                again = error.code() is grpc.StatusCode.UNAVAILABLE and not retried and timeout > _RETRY_PAUSE
                if not again:
                    raise failure(error.code(), error.details() or "", self._address) from None
            retried = True
            await asyncio.sleep(_RETRY_PAUSE)


def tls(ca: Path, cert: Path | None, key: Path | None) -> grpc.ChannelCredentials:
    """Credentials that check the model server by ``ca`` and show it ``cert``, if any. All files are PEM.

    Raises:
        OSError: a file cannot be read.
    """
    return grpc.ssl_channel_credentials(
        ca.read_bytes(),
        private_key=key.read_bytes() if key is not None else None,
        certificate_chain=cert.read_bytes() if cert is not None else None,
    )


def failure(code: Any, details: str, address: str) -> GatewayError:
    """What a gRPC status of the model server means to the caller. Its own words are passed on, but for those about the
    connection, its places and time."""
    details = " ".join(details.split())[:300]
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return Unavailable(f"the model server at {address} cannot be reached")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded("the model server did not answer within the deadline")
        case grpc.StatusCode.NOT_FOUND:
            return VersionGone(f"the model server no longer has what was asked for: {details}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded("the model server has no free place; try again", "model_server")
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.OUT_OF_RANGE:
            return BadTensor(f"the model refused the input: {details}")
        case grpc.StatusCode.UNIMPLEMENTED:
            return Unimplemented(f"the model server does not do this: {details or 'it does not know the call'}")
        case _:
            return BadUpstream(f"the model server failed ({code.name}): {details}")
