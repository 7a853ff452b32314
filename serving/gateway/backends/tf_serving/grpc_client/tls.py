"""TLS settings of the connections to the model server."""

import ssl
from pathlib import Path


def client_ssl_context(ca: Path, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the model server and, for mutual TLS, presents a certificate.

    Args:
        ca: certificate authority that the model server's certificate must come from, PEM.
        cert: the client's certificate chain, PEM.
        key: its private key, PEM.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) is not valid.
    """
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # accept an intermediate authority as the trust anchor
    context.set_alpn_protocols(["h2"])
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context
