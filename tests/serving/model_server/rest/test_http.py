"""The REST interface of a real process, over real sockets."""

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving.artifacts.models_config import ModelConfig
from tests.serving.model_server import versions
from tests.serving.model_server.client import Rest
from tests.serving.model_server.servers import Server, configure, serving

PREDICT = "/v1/models/line:predict"
ONE = {"instances": [[1, 2, 3.5]]}
LABELS = "--allow_version_labels_for_unavailable_models"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """line: versions 1 and 2 of y = x + version, the first of which is stable."""
    root = tmp_path_factory.mktemp("rest")
    for number in (1, 2):
        versions.write(root / "line" / str(number), offset=number)
    config = configure(root, [ModelConfig("line", str(root / "line"), latest=None, labels={"stable": 1})])
    with serving(f"--model_config_file={config}", LABELS, "--rest_api_enable_cors_support", rest=True) as server:
        yield server


@pytest.fixture
def rest(server: Server) -> Rest:
    return server.rest


@pytest.mark.parametrize(
    ("path", "offset"),
    [(PREDICT, 2), ("/v1/models/line/versions/1:predict", 1), ("/V1/models/line/labels/stable:predict", 1)],
)
def test_predict(rest: Rest, path: str, offset: int) -> None:
    assert rest.ask("POST", path, ONE) == {"predictions": [[1 + offset, 2 + offset, 3.5 + offset]]}


def test_by_column_and_by_signature(rest: Rest) -> None:
    assert rest.ask("POST", PREDICT, {"inputs": [[1, 2, 3]]}) == {"outputs": [[3.0, 4.0, 5.0]]}
    both = {"signature_name": "both", "instances": [{"x": [1, 2, 3], "shift": [7]}]}
    assert rest.ask("POST", PREDICT, both) == {"predictions": [{"y": [3.0, 4.0, 5.0], "z": [10.0, 11.0, 12.0]}]}


def test_nan_infinity_and_error_format(rest: Rest) -> None:
    _, _, text = rest.call("POST", PREDICT, b'{"instances": [[1, NaN, -Infinity]]}')
    assert text == b'{"predictions":[[3.0,NaN,-Infinity]]}'
    _, _, text = rest.call("POST", PREDICT, b"")
    assert text == b'{\n    "error": "JSON Parse error: The document is empty"\n}'


def test_status(rest: Rest) -> None:
    fine = {"error_code": "OK", "error_message": ""}
    both = [{"version": version, "state": "AVAILABLE", "status": fine} for version in ("2", "1")]
    assert rest.ask("GET", "/v1/models/line") == {"model_version_status": both}
    assert rest.ask("GET", "/v1/models/line/versions/1") == {"model_version_status": both[1:]}


def test_metadata(rest: Rest) -> None:
    answer = rest.ask("GET", "/v1/models/line/labels/stable/metadata")
    assert answer["model_spec"] == {"name": "line", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"] == {
        "name": "serving_default_x:0",
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}], "unknown_rank": False},
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", PREDICT, b"{instances}", 400, "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("POST", PREDICT, [1], 400, "JSON Value: [1] Is not object"),
        ("POST", PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", PREDICT, {"instances": [1], "inputs": [1]}, 400, "expecting only one of 'inputs' or 'instances' keys"),
        ("POST", PREDICT, {"instances": []}, 400, "No values in 'instances' array"),
        ("POST", PREDICT, {"instances": 1}, 400, "Excepting 'instances' to be an list/array"),
        ("POST", PREDICT, {"signature_name": 1}, 400, "'signature_name' key must be a string value."),
        ("POST", PREDICT, {**ONE, "signature_name": "x"}, 400, 'Serving signature name: "x" not found in signature'),
        ("POST", PREDICT, {"instances": [["a"]]}, 400, 'JSON Value: "a" Type: String is not of expected type: float'),
        ("POST", PREDICT, {"instances": [1, 2]}, 400, "input x must have shape [?, 3] but has shape [2]"),
        ("POST", PREDICT, b'{"instances":' + b"[" * 1000 + b"]" * 1000 + b"}", 400, ""),
        ("POST", "/v1/models/foo:predict", ONE, 404, "Servable not found for request: Latest(foo)"),
        ("POST", "/v1/models/line/versions/9:predict", ONE, 404, "Servable not found for request: Specific(line, 9)"),
        ("POST", "/v1/models/line/labels/x:predict", ONE, 400, "Unrecognized servable version label: x"),
        ("POST", "/v1/models/line:classify", ONE, 400, "When method is classify, key 'examples' is expected and was"),
        ("POST", "/v1/models/line:regress", {"examples": [{"a": 1}]}, 400, "No regression inputs found"),
        ("GET", "/v1/models", None, 400, "Missing model name in request."),
        ("GET", "/v1/models/foo", None, 404, "Could not find any versions of model foo"),
        ("GET", "/v1/models/line/versions/9", None, 404, "Could not find version 9 of model line"),
        ("GET", "/v1/models/foo/metadata", None, 404, "Servable not found for request: Latest(foo)"),
        ("DELETE", "/v1/models/line", None, 400, "Malformed request: DELETE /v1/models/line"),
    ],
)
def test_refused(rest: Rest, method: str, path: str, body: Any, status: int, message: str) -> None:
    assert message in rest.error(method, path, body, status)


def test_paths_outside_the_interface_are_not_found(rest: Rest) -> None:
    status, headers, text = rest.call("GET", "/")
    assert (status, headers["content-type"], text) == (404, "text/plain", b"Not Found\n")


def test_compressed_bodies(rest: Rest) -> None:
    packed = gzip.compress(json.dumps(ONE).encode())
    status, _, text = rest.call("POST", PREDICT, packed, {"Content-Encoding": "gzip"})
    assert (status, json.loads(text)) == (200, {"predictions": [[3.0, 4.0, 5.5]]})
    for broken in (packed[:-10], b"no gzip"):
        status, _, text = rest.call("POST", PREDICT, broken, {"Content-Encoding": "gzip"})
        assert (status, json.loads(text)["error"]) == (400, "JSON Parse error: The document is empty")
    bomb = gzip.compress(b" " * 40_000_000)
    status, _, text = rest.call("POST", PREDICT, bomb, {"Content-Encoding": "gzip"})
    assert (status, json.loads(text)["error"]) == (413, "the decompressed body has more than 32000000 bytes")


@pytest.mark.parametrize("item", [b"[],", b"[1,2],", b"{},"])
@pytest.mark.parametrize("verb", ["predict", "classify"])
def test_a_document_that_needs_too_much_memory_is_rejected(rest: Rest, item: bytes, verb: str) -> None:
    body = b'{"instances":[%b1]}' % (item * (20_000_000 // len(item)))
    status, _, text = rest.call("POST", PREDICT.replace(":predict", f":{verb}"), body)
    assert status == 413
    assert "bytes of memory when it is read; at most 256000000 are available" in json.loads(text)["error"]


@pytest.mark.parametrize("offer", ["h2c", "TLS/1.0", "websocket"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upgrade_header_is_ignored(server: Server, offer: str, chunked: bool) -> None:
    body = json.dumps(ONE).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    lines = [f"POST {PREDICT} HTTP/1.1", "Host: localhost", "Connection: Upgrade, HTTP2-Settings"]
    head = "\r\n".join([*lines, f"Upgrade: {offer}", "HTTP2-Settings: AAEAAEAA", framing, "", ""]).encode()
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
        connection.sendall(head + body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, json.loads(response.read())) == (200, {"predictions": [[3.0, 4.0, 5.5]]})


def test_cors(rest: Rest) -> None:
    status, headers, _ = rest.call("OPTIONS", PREDICT, headers={"Origin": "https://example.org"})
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert headers["access-control-allow-methods"] == "POST, GET"
    assert rest.call("OPTIONS", PREDICT)[0] == 400
    assert rest.call("GET", "/v1/models/line")[1]["access-control-allow-origin"] == "*"


def test_a_large_body_and_many_callers(rest: Rest) -> None:
    rows = [[number, 1, 2] for number in range(50_000)]
    assert len(rest.ask("POST", PREDICT, {"instances": rows})["predictions"]) == 50_000
    with ThreadPoolExecutor(8) as pool:
        bodies = [{"instances": [[number, 1, 2]]} for number in range(80)]
        answers = pool.map(lambda body: rest.ask("POST", PREDICT, body), bodies)
        assert [answer["predictions"][0][0] for answer in answers] == [number + 2 for number in range(80)]


def test_the_server_runs_without_rest_if_its_port_is_in_use(tmp_path: Path) -> None:
    versions.write(tmp_path / "line" / "1", offset=1)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving(f"--model_base_path={tmp_path / 'line'}", f"--rest_api_port={port}") as server:
            server.program.wait_for(f"Failed to start HTTP Server at localhost:{port}")
            assert server.client.states("default") == {1: "AVAILABLE"}
    with serving(f"--model_base_path={tmp_path / 'line'}", "--rest_api_port=9", "--rest_api_timeout_in_ms=1") as server:
        assert server.client.states("default") == {1: "AVAILABLE"}
