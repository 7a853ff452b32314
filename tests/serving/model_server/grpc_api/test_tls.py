"""TLS with --ssl_config_file, with and without client certificates."""

import json
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from tests.serving.model_server import versions
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import fails, serving

X = np.ones((1, 3), np.float32)
AUTHORITY = trustme.CA()
SERVER = AUTHORITY.issue_cert("localhost", "127.0.0.1")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    versions.write(tmp_path / "line" / "1", offset=1)
    return tmp_path / "line"


def ssl_config(folder: Path, *, client_verify: bool = False) -> Path:
    fields = {
        "server_key": SERVER.private_key_pem.bytes().decode(),
        "server_cert": SERVER.cert_chain_pems[0].bytes().decode(),
        "custom_ca": AUTHORITY.cert_pem.bytes().decode(),
    }
    lines = [f"{name}: {json.dumps(text)}" for name, text in fields.items()]
    path = folder / "ssl.config"
    path.write_text("\n".join([*lines, f"client_verify: {str(client_verify).lower()}"]))
    return path


def credentials(authority: trustme.CA, certificate: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        certificate and certificate.private_key_pem.bytes(),
        certificate and certificate.cert_chain_pems[0].bytes(),
    )


def test_clients_need_tls_and_the_servers_certificate(model: Path, tmp_path: Path) -> None:
    with serving(
        f"--model_base_path={model}", "--model_name=line", f"--ssl_config_file={ssl_config(tmp_path)}"
    ) as server:
        address = f"localhost:{server.port}"
        with Client(address, credentials=credentials(AUTHORITY)) as trusting:
            np.testing.assert_array_equal(trusting.predict("line", x=X)["y"], X + 1)
        for given in (None, credentials(trustme.CA())):
            with Client(address, credentials=given) as other, pytest.raises(grpc.RpcError) as refused:
                other.predict("line", x=X)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_client_verify_requires_a_certificate_of_the_custom_ca(model: Path, tmp_path: Path) -> None:
    config = ssl_config(tmp_path, client_verify=True)
    with serving(f"--model_base_path={model}", "--model_name=line", f"--ssl_config_file={config}") as server:
        address = f"localhost:{server.port}"
        known = credentials(AUTHORITY, AUTHORITY.issue_cert("client"))
        with Client(address, credentials=known) as client:
            np.testing.assert_array_equal(client.predict("line", x=X)["y"], X + 1)
        for given in (credentials(AUTHORITY), credentials(AUTHORITY, trustme.CA().issue_cert("client"))):
            with Client(address, credentials=given) as stranger, pytest.raises(grpc.RpcError) as refused:
                stranger.predict("line", x=X)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server_key: 3", "INVALID_ARGUMENT: Invalid protobuf file: "),
        ("nosuch: 'x'", "Error parsing text-format tensorflow.serving.SSLConfig"),
        ("server_key: 'x'", "must have a server_key and a server_cert"),
        ("server_key: 'x' server_cert: 'y' client_verify: true", "needs the custom_ca"),
        ("server_key: 'x' server_cert: 'y'", "server_key and server_cert do not match"),
        (None, "Error: NOT_FOUND: "),
    ],
)
def test_start_fails_with_an_invalid_file(model: Path, tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "ssl.config"
    if text is not None:
        path.write_text(text)
    assert message in fails(f"--model_base_path={model}", f"--ssl_config_file={path}")
