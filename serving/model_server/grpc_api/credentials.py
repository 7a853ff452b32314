"""TLS for gRPC, from the file that ``--ssl_config_file`` names.

Source: tensorflow_serving/model_servers/server.cc, BuildServerCredentialsFromSSLConfigFile.
"""

import ssl
import tempfile
from pathlib import Path

from serving.model_server import text_protos
from serving.model_server.errors import invalid_argument
from serving.tfs_api import messages


def read(path: Path) -> ssl.SSLContext:
    """The server's key and certificate, and whether clients must show one that ``custom_ca`` signed.

    Raises:
        NotFound: there is no such file.
        INVALID_ARGUMENT: it is no SSLConfig, or lacks what it needs.
    """
    config = text_protos.read(path, messages.SSLConfig)
    if not (config.server_key and config.server_cert):
        raise invalid_argument(f"{path} must have a server_key and a server_cert, both in PEM form")
    if config.client_verify and not config.custom_ca:
        raise invalid_argument(f"{path} has client_verify, which needs the custom_ca that signs clients' certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    try:
        with tempfile.NamedTemporaryFile(prefix="vitrine-", suffix=".pem") as file:  # ssl reads keys from files only
            file.write(f"{config.server_key}\n{config.server_cert}\n".encode())
            file.flush()
            context.load_cert_chain(file.name)
    except ssl.SSLError as error:
        raise invalid_argument(f"{path}: server_key and server_cert are no key and its certificate: {error}") from None
    if config.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cadata=config.custom_ca)
        except ssl.SSLError as error:
            raise invalid_argument(f"{path}: custom_ca is no certificate: {error}") from None
    return context
