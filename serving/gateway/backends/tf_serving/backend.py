"""The model server as seen from here: one gRPC channel, five calls, and what their failures mean.

Requests to Predict arrive as bytes that are encoded already (``wire.py``).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from serving.gateway.backends.tf_serving.grpc_client import Channel, MessageTooLarge, Metadata, RpcError
from serving.gateway.errors import (
    BadTensor,
    BadUpstream,
    DeadlineExceeded,
    GatewayError,
    Overloaded,
    TooLarge,
    Unavailable,
    Unimplemented,
    VersionGone,
)
from serving.gateway.models.routing import VersionStatus
from serving.tfs_api.messages import (
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
from serving.tfs_api.status_codes import Code

#: At what a version may lack: each goes to the next replica, so that as many less one may be late with the version.
MOST_ATTEMPTS = 6
_RETRY_PAUSE = 0.05
_QUEUE_FULL = "batch scheduling queue"  # TensorFlow Serving's words where its batching takes no more
# gRPC's own words, on both sides; a repeated call would be refused again.
_REQUEST_TOO_LARGE, _ANSWER_TOO_LARGE = "Received message larger than max", "Sent message larger than max"


class Upstream:
    """Calls to the model server behind a channel."""

    def __init__(self, channel: Channel, address: str) -> None:
        """``address`` is how the model server is called in messages."""
        self._channel = channel
        self._address = address

    async def predict(self, request: bytes, deadline: float, metadata: Metadata | None = None) -> Any:
        """The PredictResponse to an encoded PredictRequest. ``deadline`` is a time of the event loop, ``metadata`` goes
        along with the call.

        Raises:
            GatewayError: see :func:`failure`.
        """
        return _read(predict_pb2.PredictResponse, await self._call(PREDICT, request, deadline, metadata))

    async def classify(self, request: Any, deadline: float) -> Any:
        """The ClassificationResponse to a ClassificationRequest. Raises as :meth:`predict`."""
        answer = await self._call(CLASSIFY, request.SerializeToString(), deadline)
        return _read(classification_pb2.ClassificationResponse, answer)

    async def regress(self, request: Any, deadline: float) -> Any:
        """The RegressionResponse to a RegressionRequest. Raises as :meth:`predict`."""
        answer = await self._call(REGRESS, request.SerializeToString(), deadline)
        return _read(regression_pb2.RegressionResponse, answer)

    async def signature_defs(self, model: str, version: int, timeout: float) -> Mapping[str, Any]:
        """SignatureDef messages of a version, by name.

        Raises:
            GatewayError: see :func:`failure`; :class:`BadUpstream` too where the answer cannot be read.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        request.model_spec.version.value = version
        deadline = asyncio.get_running_loop().time() + timeout
        answer = await self._call(GET_MODEL_METADATA, request.SerializeToString(), deadline)
        response = _read(get_model_metadata_pb2.GetModelMetadataResponse, answer)
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
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            answer = await self._call(GET_MODEL_STATUS, request.SerializeToString(), deadline)
        except VersionGone:
            return {}
        response = _read(get_model_status_pb2.GetModelStatusResponse, answer)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {
            int(one.version): VersionStatus(
                name(one.state), Code.from_number(one.status.error_code).name, one.status.error_message
            )
            for one in response.model_version_status
        }

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, path: str, request: bytes, deadline: float, metadata: Metadata | None = None) -> bytes:
        loop = asyncio.get_running_loop()
        retried = False
        while True:
            timeout = deadline - loop.time()
            if timeout <= 0:
                raise DeadlineExceeded("the model server did not answer within the deadline")
            try:
                return await self._channel.call(path, request, deadline, metadata)
            except RpcError as error:
                if error.code is not Code.UNAVAILABLE or retried or timeout <= _RETRY_PAUSE:
                    raise failure(error, self._address) from None
            retried = True
            await asyncio.sleep(_RETRY_PAUSE)


def _read(kind: Any, answer: bytes) -> Any:
    try:
        return kind.FromString(answer)
    except DecodeError:
        raise BadUpstream(f"the model server's answer is no {kind.DESCRIPTOR.name}") from None


def failure(error: RpcError, address: str) -> GatewayError:
    """What a gRPC status of the model server means to the caller. Its own words are passed on, but for those about the
    connection, its places and time."""
    details = " ".join(error.details.split())[:300]
    if isinstance(error, MessageTooLarge):
        return BadUpstream(f"the model server failed: {details}, the limit that VITRINE_MAX_ANSWER_BYTES sets")
    match error.code:
        case Code.UNAVAILABLE if _QUEUE_FULL not in details:
            return Unavailable(f"the model server at {address} cannot be reached")
        case Code.DEADLINE_EXCEEDED:
            return DeadlineExceeded("the model server did not answer within the deadline")
        case Code.NOT_FOUND:
            return VersionGone(f"the model server no longer has what was asked for: {details}")
        case Code.RESOURCE_EXHAUSTED if _REQUEST_TOO_LARGE in details:
            return TooLarge(f"the model server refused the request: {details}; send fewer rows at once")
        case Code.RESOURCE_EXHAUSTED if _ANSWER_TOO_LARGE in details:
            return BadUpstream(f"the model server failed: {details}; ask for fewer rows at once")
        case Code.UNAVAILABLE | Code.RESOURCE_EXHAUSTED:
            return Overloaded("the model server has no free place; try again", "model_server")
        case Code.INVALID_ARGUMENT | Code.FAILED_PRECONDITION | Code.OUT_OF_RANGE:
            return BadTensor(f"the model refused the input: {details}")
        case Code.UNIMPLEMENTED:
            return Unimplemented(f"the model server does not do this: {details or 'it does not know the call'}")
        case _:
            return BadUpstream(f"the model server failed ({error.code.name}): {details}")
