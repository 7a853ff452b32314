"""TLS for gRPC, from the file that ``--ssl_config_file`` names.

Source: tensorflow_serving/model_servers/server.cc, BuildServerCredentialsFromSSLConfigFile.
"""

from pathlib import Path

import grpc

from serving.model_server import text_protos
from serving.model_server.errors import InvalidArgument


def read(path: Path) -> grpc.ServerCredentials:
    """The server's key and certificate, and whether clients must show one that ``custom_ca`` signed.

    Raises:
        NotFound: there is no such file.
        InvalidArgument: it is no SSLConfig, or lacks what it needs.
    """
    config = text_protos.read(path, text_protos.SSLConfig)
    if not (config.server_key and config.server_cert):
        raise InvalidArgument(f"{path} must have a server_key and a server_cert, both in PEM form")
    if config.client_verify and not config.custom_ca:
        raise InvalidArgument(f"{path} has client_verify, which needs the custom_ca that signs clients' certificates")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
