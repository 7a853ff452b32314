"""Keys, scopes, rate limits, CORS and TLS with real processes, Redis and certificates."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from serving.gateway.http import keys_file
from serving.gateway.http.request import Request
from serving.gateway.settings import Settings
from tests.programs import Program, free_port, model_server
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import until
from tests.serving.gateway.programs import Gateway
from tests.system_packages import require

PREDICT = "/v1/models/shade:predict"
PICTURE = picture()
ORIGIN = "https://shop.example"


@pytest.fixture(scope="module")
def address(models_root: Path) -> Iterator[str]:
    with model_server(models_root, *programs.PROMPT) as address:
        yield address


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """keys.json with one key for everything; the file ``ANY_KEY`` beside it has the key."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    _, secret_key = keys_file.create(file, "anybody")
    file.with_name("ANY_KEY").write_text(secret_key)
    return file


@pytest.fixture(scope="module")
def anybody(file: Path) -> dict[str, str]:
    return bearer(file.with_name("ANY_KEY").read_text())


@pytest.fixture(scope="module")
def guarded(address: str, models_root: Path, file: Path, anybody: dict[str, str]) -> Iterator[Gateway]:
    """A gateway with keys and one allowed origin, on all addresses."""
    flags = ("--host=0.0.0.0", f"--keys={file}", f"--cors-origins={ORIGIN}", "--access-log=1")
    with programs.gateway(address, models_root / "models.config", *flags) as gateway:
        programs.wait_until_ready(gateway, "shade", "line")
        yield gateway


def bearer(secret_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret_key}"}


def predict(gateway: Gateway, headers: dict[str, str] | None = None, path: str = PREDICT) -> httpx.Response:
    return gateway.http.post(path, content=PICTURE, headers=headers)


def test_only_probes_and_the_page_are_open(guarded: Gateway, anybody: dict[str, str]) -> None:
    for headers in (None, bearer("vt_00000000_x"), {"Authorization": "Basic abc"}, {"X-API-Key": "nonsense"}):
        response = predict(guarded, headers)
        assert response.status_code == 401
        assert response.json()["code"] == "unauthorized"
        assert response.headers["www-authenticate"].startswith("Bearer")
    for path in ("/v1/models", "/v1/models/shade", "/v1/models/shade/card", "/nowhere"):
        assert guarded.http.get(path).status_code == 401
        assert guarded.http.get(path, headers=anybody).status_code in (200, 404)
    for path in ("/", "/page/page.js", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert guarded.http.get(path).status_code == 200
    assert predict(guarded, anybody).status_code == 200
    assert predict(guarded, {"X-API-Key": anybody["Authorization"][7:]}).status_code == 200


def test_scope_of_a_key(guarded: Gateway, file: Path) -> None:
    key, secret_key = keys_file.create(file, "shop", frozenset({"shade"}), frozenset({"predict"}))
    until(lambda: predict(guarded, bearer(secret_key)).status_code == 200)
    for path in ("/v1/models/shade:embed", "/v1/models/line:predict", "/v1/models/nobody:predict"):
        response = predict(guarded, bearer(secret_key), path)
        assert response.status_code == 403
        assert response.json()["code"] == "forbidden"
        assert key.id in response.json()["error"] and secret_key not in response.text
    for path in ("/v1/models/line", "/V1/Models/line/metadata", "/v2/models/line", "/v2/models/shade:line"):
        assert guarded.http.get(path, headers=bearer(secret_key)).status_code == 403
    for path, body in (
        ("/v1/embeddings", {"model": "shade", "input": []}),
        ("/v1/timeseries/forecast", {"model": "trend"}),
        ("/v2/models/line/infer", {}),
        ("/v1/models/line:classify", {}),
    ):
        assert guarded.http.post(path, json=body, headers=bearer(secret_key)).status_code == 403
    assert guarded.http.get("/v1/models/shade/card", headers=bearer(secret_key)).status_code == 200
    listed = guarded.http.get("/v1/models", headers=bearer(secret_key)).json()
    assert [model["name"] for model in listed["models"]] == ["shade"]
    assert [model["id"] for model in listed["data"]] == ["shade"]


def test_keys_are_reloaded_and_a_broken_file_is_ignored(guarded: Gateway, file: Path, anybody: dict[str, str]) -> None:
    key, secret_key = keys_file.create(file, "guest")
    until(lambda: predict(guarded, bearer(secret_key)).status_code == 200)
    good = file.read_bytes()
    file.write_text("[")
    until(lambda: "keys.json" in str(guarded.http.get("/readyz", headers=anybody).json()["notes"]))
    assert "keys.json" not in guarded.http.get("/readyz").text
    assert predict(guarded, bearer(secret_key)).status_code == 200
    file.write_bytes(good)
    keys_file.revoke(file, key.id)
    until(lambda: predict(guarded, bearer(secret_key)).status_code == 401)
    assert predict(guarded, anybody).status_code == 200


def test_probes_without_a_key_name_no_models(tmp_path: Path) -> None:
    file, address = tmp_path / "keys.json", f"127.0.0.1:{free_port()}"
    secret_keys = {
        "everything": keys_file.create(file, "everything")[1],
        "one": keys_file.create(file, "one", frozenset({"secret_one"}))[1],
        "unknown": "vt_00000000_x",
    }
    flags = ("--models=secret_one,secret_two", f"--keys={file}", f"--routing={tmp_path / 'routing.json'}")
    with programs.gateway(address, tmp_path / "none", *flags) as gateway:
        (tmp_path / "routing.json").write_text('{"secret_two": 1}')

        def readiness(key: str | None) -> str:
            response = gateway.http.get("/readyz", headers=bearer(secret_keys[key]) if key else None)
            assert response.status_code == 503
            return response.text

        until(lambda: "secret_two: Input" in readiness("everything"))
        page = readiness("everything")
        assert "model secret_one: " in page and "model secret_two: " in page
        page = readiness("one")
        assert "model secret_one: " in page and "secret_two" not in page
        assert "1 of 2 models cannot answer" in page and "an edit of a file was rejected" in page
        for key in (None, "unknown"):
            page = readiness(key)
            assert "secret" not in page and "routing.json" not in page and address not in page
            assert "2 of 2 models cannot answer" in page
        assert gateway.http.get("/v2/health/ready").json() == {"ready": False}


def test_keys_are_never_logged(guarded: Gateway, anybody: dict[str, str]) -> None:
    predict(guarded, anybody)
    predict(guarded, bearer("vt_00000000_secret-that-is-wrong"))
    until(lambda: PREDICT in guarded.program.output)
    assert anybody["Authorization"][19:] not in guarded.program.output
    assert "secret-that-is-wrong" not in guarded.program.output


def test_cors_allows_one_origin(guarded: Gateway, anybody: dict[str, str]) -> None:
    requested = "authorization, content-type, inference-header-content-length, traceparent"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": requested}
    allowed = guarded.http.options(PREDICT, headers={"Origin": ORIGIN, **preflight})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert (
        "access-control-allow-origin"
        not in guarded.http.options(PREDICT, headers={"Origin": "https://other.example", **preflight}).headers
    )
    response = predict(guarded, {"Origin": ORIGIN, **anybody})
    assert response.headers["access-control-allow-origin"] == ORIGIN
    for name in ("X-Model-Version", "Inference-Header-Content-Length"):
        assert name in response.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in predict(guarded, {"Origin": "https://other.example", **anybody}).headers


def test_page_forbids_framing(guarded: Gateway) -> None:
    headers = guarded.http.get("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, "other machines can reach 0.0.0.0, so API keys are required"),
        ({"host": "::"}, "API keys are required"),
        ({"keys": "nowhere.json"}, "vitrine keys create NAME --keys nowhere.json writes it"),
        ({"keys": "broken.json"}, "broken.json: the whole"),
        ({"rate": "often"}, "'often' is not a rate"),
        ({"rate_storage": "postgres://x"}, "'postgres://x' is neither memory:// nor redis://"),
        ({"rate": "10/second;50/minute"}, "'10/second;50/minute' is not a rate"),
        ({"cors_origins": f"{ORIGIN}, {ORIGIN}/"}, "'https://shop.example/' is not an origin"),
        ({"cors_origins": "shop.example"}, "'shop.example' is not an origin"),
        ({"cors_origins": "https://Shop.example"}, "'https://Shop.example' is not an origin"),
        ({"deadline_seconds": "inf"}, "deadline_seconds\n.*finite"),
        ({"drain_seconds": "inf"}, "drain_seconds\n.*finite"),
        ({"tls_cert": "broken.json"}, "tls_cert and tls_key must be set together"),
        ({"tls_cert": "broken.json", "tls_key": "broken.json"}, "must be a certificate and its private key in PEM"),
        ({"model_server_cert": "broken.json", "model_server_key": "broken.json"}, "set model_server_ca too"),
        ({"model_server_ca": "nowhere.pem"}, "model_server_ca: nowhere.pem is not a file"),
    ],
)
def test_invalid_settings_stop_the_start(
    settings: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text("{")
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate(settings)


def test_private_key_with_a_password_stops_the_start(tmp_path: Path) -> None:
    cert, key = pem(tmp_path, "server", AUTHORITY.issue_cert("localhost"))
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(secret.private_bytes(encoding, form, serialization.BestAvailableEncryption(b"x")))
    with pytest.raises(ValidationError, match="the private key has a password"):
        Settings(tls_cert=cert, tls_key=key)


@pytest.mark.parametrize("origins", [ORIGIN, "*", "http://localhost:3000, capacitor://localhost", "http://[::1]:3000"])
def test_origins(origins: str) -> None:
    assert Settings(cors_origins=origins).origins == tuple(origins.split(", "))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses(host: str) -> None:
    assert Settings(host=host).keys is None


def test_rate_of_a_key(address: str, models_root: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    _, slow = keys_file.create(file, "slow", rate="3/hour")
    _, plain = keys_file.create(file, "plain")
    flags = (f"--keys={file}", "--rate=5/hour", "--metrics-need-key")
    with programs.gateway(address, models_root / "models.config", *flags) as gateway:
        programs.wait_until_ready(gateway, "shade")
        for secret_key, limit in ((slow, 3), (plain, 5)):
            assert [predict(gateway, bearer(secret_key)).status_code for _ in range(limit + 1)] == [200] * limit + [429]
        response = predict(gateway, bearer(slow))
        assert response.json()["code"] == "too_many_requests"
        assert 1 <= int(response.headers["retry-after"]) <= 3600
        assert gateway.http.get("/livez").status_code == 200
        assert gateway.http.get("/metrics").status_code == 401
        assert slow not in response.text


def test_failed_attempts_count_against_their_address(address: str, models_root: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    _, good = keys_file.create(file, "good", frozenset({"shade"}))
    flags = (f"--keys={file}", "--rate=4/hour")
    with programs.gateway(address, models_root / "models.config", *flags) as gateway:
        programs.wait_until_ready(gateway, "shade")
        wrong = [
            {},
            bearer("vt_00000000_x"),
            {"X-API-Key": "a"},
            {"Authorization": "Basic YTpi"},
            bearer("vt_11111111_y"),
            {},
        ]
        responses = [predict(gateway, headers) for headers in wrong]
        assert [response.status_code for response in responses] == [401] * 4 + [429] * 2
        assert "without a valid key, address 127.0.0.1 may make 4/hour requests" in responses[4].json()["error"]
        assert gateway.http.get("/v1/models", headers=bearer("vt_22222222_z")).status_code == 429
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as other:
            assert other.post(gateway.url + PREDICT, content=PICTURE).status_code == 401
        forbidden = gateway.http.get("/v1/models/line", headers=bearer(good))
        assert forbidden.status_code == 403  # counts against the key
        statuses = [predict(gateway, bearer(good)).status_code for _ in range(4)]
        assert statuses == [200] * 3 + [429]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_ipv6_callers_are_networks(host: str, address: str) -> None:
    scope = {"method": "GET", "path": "/", "headers": [], "client": (host, 1)}
    assert Request(scope, asyncio.Event().wait, "1", 0.0, 1.0).address == address


@contextlib.contextmanager
def redis(port: int, folder: Path) -> Iterator[None]:
    program = Program(
        [require("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    )
    try:
        program.wait_for("Ready to accept connections")
        yield
    finally:
        program.stop()


def test_gateways_share_rates_in_redis_and_serve_without_it(address: str, models_root: Path, tmp_path: Path) -> None:
    port = free_port()
    flags = ("--rate=6/hour", f"--rate-storage=redis://127.0.0.1:{port}")
    config = models_root / "models.config"
    with programs.gateway(address, config, *flags) as one, programs.gateway(address, config, *flags) as other:
        for gateway in (one, other):
            programs.wait_until_ready(gateway, "shade")
        with redis(port, tmp_path):
            statuses = [predict(gateway).status_code for gateway in (one, other) * 4]
            assert statuses == [200] * 6 + [429] * 2
        assert predict(one).status_code == 200  # without storage every request is accepted
        one.program.wait_for("rates cannot be counted, so all requests are accepted")
        assert "vitrine_uncounted_requests_total 1.0" in one.http.get("/metrics").text
        assert "vitrine_uncounted_requests_total 0.0" in other.http.get("/metrics").text


AUTHORITY = trustme.CA()


def pem(folder: Path, name: str, certificate: trustme.LeafCert) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return cert, key


def test_tls_on_both_sides(models_root: Path, tmp_path: Path) -> None:
    """HTTPS to clients, mutual TLS to the model server."""
    cert, key = pem(tmp_path, "server", AUTHORITY.issue_cert("localhost", "127.0.0.1"))
    own_cert, own_key = pem(tmp_path, "gateway", AUTHORITY.issue_cert("gateway"))
    ca = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(ca))
    fields = {"server_key": key, "server_cert": cert, "custom_ca": ca}
    lines = [f"{name}: {json.dumps(path.read_text())}" for name, path in fields.items()]
    (tmp_path / "ssl.config").write_text("\n".join([*lines, "client_verify: true"]))
    config = models_root / "models.config"
    https = (f"--tls-cert={cert}", f"--tls-key={key}", f"--model-server-ca={ca}")
    identity = (f"--model-server-cert={own_cert}", f"--model-server-key={own_key}")
    trusting = ssl.create_default_context(cafile=str(ca))
    with model_server(models_root, *programs.PROMPT, f"--ssl_config_file={tmp_path / 'ssl.config'}") as address:
        with (
            programs.gateway(address, config, *https, *identity) as gateway,
            httpx.Client(base_url=gateway.url.replace("http:", "https:"), verify=trusting) as client,
        ):
            programs.wait_until_ready(gateway, "shade")
            assert client.post(PREDICT, content=PICTURE).status_code == 200
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                httpx.get(f"{client.base_url}/livez")
            with pytest.raises(httpx.RemoteProtocolError):
                gateway.http.get("/livez")
        with programs.gateway(address, config, *https) as anonymous:
            anonymous.program.wait_for("model shade: the model server at")


def test_insecure_setup_must_be_explicit(address: str, models_root: Path) -> None:
    with programs.gateway(address, models_root / "models.config", "--host=0.0.0.0", "--insecure") as gateway:
        programs.wait_until_ready(gateway, "shade")
        assert predict(gateway).status_code == 200
