"""Unary gRPC calls over HTTP/2 for asyncio. README.md describes the scope and the measurements.

- ``channel.py``: calls, round robin over all resolved addresses
- ``resolver.py``: host names to addresses
- ``subchannel.py``, ``backoff.py``: one address and the connection to it
- ``connection.py``, ``stream.py``: one HTTP/2 connection and its streams
- ``frame_writer.py``, ``keepalive.py``: outgoing frames and flow control; detection of dead connections
- ``frames.py``, ``headers.py``: the wire format of frames and header blocks
- ``message.py``, ``status.py``: gRPC's message framing and status codes
- ``tls.py``: TLS settings
"""

from serving.gateway.backends.tf_serving.grpc_client.channel import Channel
from serving.gateway.backends.tf_serving.grpc_client.headers import Metadata
from serving.gateway.backends.tf_serving.grpc_client.resolver import Address
from serving.gateway.backends.tf_serving.grpc_client.status import MessageTooLarge, RpcError
from serving.gateway.backends.tf_serving.grpc_client.tls import client_ssl_context

__all__ = ["Address", "Channel", "MessageTooLarge", "Metadata", "RpcError", "client_ssl_context"]
