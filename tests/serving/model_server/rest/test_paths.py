"""Methods and paths, after http_rest_api_handler_test.cc and http_rest_api_util_test.cc."""

import pytest

from serving.model_server.rest import paths
from serving.tfs_api.status_codes import Code
from tests.serving.model_server.statuses import raises_status


@pytest.mark.parametrize(
    ("method", "path", "action", "name", "version", "label"),
    [
        ("GET", "/v1/models/m", "status", "m", None, None),
        ("GET", "/V1/Models/m/VERSIONS/007", "status", "m", 7, None),
        ("GET", "/v1/models/m/labels/canary", "status", "m", None, "canary"),
        ("GET", "/v1/models/m/metadata", "metadata", "m", None, None),
        ("GET", "/v1/models/m/versions/7/metadata", "metadata", "m", 7, None),
        ("POST", "/v1/models/a%20b:predict", "predict", "a b", None, None),
        ("POST", "/v1/models/m/versions/7:classify", "classify", "m", 7, None),
        ("POST", "/v1/models/m/labels/%C3%A9:regress", "regress", "m", None, "é"),
    ],
)
def test_read(method: str, path: str, action: str, name: str, version: int | None, label: str | None) -> None:
    target = paths.read(method, path)
    assert (target.action, target.model) == (action, name)
    assert (target.version, target.label) == (version, label)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("POST", "/v1/models"),
        ("POST", "/v1/models/m"),
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m:PREDICT"),
        ("POST", "/v1/models/m/version/50:regress"),
        ("POST", "/v1/models/m/versions/HELLO:regress"),
        ("POST", "/v1/models/m/versions/1/labels/a:predict"),
        ("PUT", "/v1/models/m"),
        ("OPTIONS", "/v1/models/m:predict"),
    ],
)
def test_malformed(method: str, path: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT) as raised:
        paths.read(method, path)
    assert str(raised.value) == f"Malformed request: {method} {path}"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/models", "Missing model name in request."),
        ("/v1/models/m/versions/9223372036854775808", "Failed to convert version: 9223372036854775808 to numeric."),
        (f"/v1/models/m/versions/{'9' * 5000}", f"Failed to convert version: {'9' * 5000} to numeric."),
        ("/v1/models/%ff", "Failed to decode model name:%ff"),
    ],
)
def test_wrong_parts(path: str, message: str) -> None:
    with raises_status(Code.INVALID_ARGUMENT) as raised:
        paths.read("GET", path)
    assert str(raised.value) == message


@pytest.mark.parametrize(("path", "served"), [("/v1/models", True), ("/V1/x", True), ("/v1", False), ("/", False)])
def test_is_served(path: str, served: bool) -> None:
    assert paths.is_served(path) is served
