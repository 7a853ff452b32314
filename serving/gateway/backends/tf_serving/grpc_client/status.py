"""The result of a call: gRPC status, HTTP status and stream errors as one exception.

    RpcError
    └── MessageTooLarge

Source: grpc/doc/PROTOCOL-HTTP2.md and http-grpc-status-mapping.md.
"""

from urllib.parse import unquote

from serving.gateway.backends.tf_serving.grpc_client import frames
from serving.gateway.backends.tf_serving.grpc_client.stream import ResponseTooLarge, StreamError, StreamResponse
from serving.tfs_api.status_codes import Code

_CODE_OF_HTTP_STATUS = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}
_CODE_OF_RESET = {
    frames.REFUSED_STREAM: Code.UNAVAILABLE,
    frames.CANCEL: Code.CANCELLED,
    frames.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    frames.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}


class RpcError(Exception):
    """A call ended with a status other than OK."""

    def __init__(self, code: Code, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class MessageTooLarge(RpcError):
    """The response exceeds the channel's limit."""


def check_status(response: StreamResponse) -> None:
    """Check that a response has the status OK.

    Raises:
        RpcError: any other status. Bytes of ``grpc-message`` that are not UTF-8 become U+FFFD.
    """
    status = response.trailers.get("grpc-status")
    if status == "0":
        return
    http_status = response.headers.get(":status")
    if status is None and http_status != "200":
        raise RpcError(_CODE_OF_HTTP_STATUS.get(http_status or "", Code.UNKNOWN), f"HTTP status {http_status}")
    default = "the response has no grpc-status" if status is None else ""
    details = unquote(response.trailers.get("grpc-message", default), errors="replace")
    raise RpcError(Code.from_number(status or ""), details)


def error_of_stream(error: StreamError, max_message_bytes: int) -> RpcError:
    """Convert a stream error."""
    if isinstance(error, ResponseTooLarge):
        details = f"the response message is larger than {max_message_bytes} bytes"
        return MessageTooLarge(Code.RESOURCE_EXHAUSTED, details)
    code = Code.UNAVAILABLE if error.code is None else _CODE_OF_RESET.get(error.code, Code.INTERNAL)
    return RpcError(code, str(error))
