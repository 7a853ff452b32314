"""TLS for gRPC, from the file of ``--ssl_config_file``.

Source: tensorflow_serving/model_servers/server.cc, BuildServerCredentialsFromSSLConfigFile.
"""

import ssl
import tempfile
from pathlib import Path

import grpc

from serving.model_server import text_protos
from serving.model_server.errors import invalid_argument
from serving.tfs_api import messages


def read(path: Path) -> grpc.ServerCredentials:
    """Return the server's key and certificate, with the CA of client certificates if clients must show one.

    Raises:
        ServingError: NOT_FOUND if the file is missing, INVALID_ARGUMENT if it is not a complete SSLConfig.
    """
    config = text_protos.read(path, messages.SSLConfig)
    if not (config.server_key and config.server_cert):
        raise invalid_argument(f"{path} must have a server_key and a server_cert, both in PEM form")
    if config.client_verify and not config.custom_ca:
        raise invalid_argument(f"{path} has client_verify, which needs the custom_ca that signs clients' certificates")
    _check_pem(path, config)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() if config.client_verify else None,
        config.client_verify,
    )


def _check_pem(path: Path, config: messages.SSLConfig) -> None:
    """Check keys and certificates, because gRPC reports damaged ones only to its log."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with tempfile.NamedTemporaryFile(prefix="vitrine-", suffix=".pem") as file:  # ssl reads keys from files only
            file.write(f"{config.server_key}\n{config.server_cert}\n".encode())
            file.flush()
            context.load_cert_chain(file.name)
    except ssl.SSLError as error:
        raise invalid_argument(f"{path}: server_key and server_cert do not match: {error}") from None
    if config.client_verify:
        try:
            context.load_verify_locations(cadata=config.custom_ca)
        except ssl.SSLError as error:
            raise invalid_argument(f"{path}: custom_ca is not a certificate: {error}") from None
