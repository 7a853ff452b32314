"""Every API skips a UTF-8 byte order mark before JSON, as TensorFlow Serving's parser does."""

import json
from typing import Any

import httpx
import pytest

from tests.serving.gateway.http.test_error_responses import APIS, JSON

BOM = b"\xef\xbb\xbf"
BODIES = {name: request() for name, request in APIS.items() if request()["headers"] == JSON}
BINARY = APIS["Open Inference Protocol, binary"]()


def stable(answer: httpx.Response) -> Any:
    """The parts of a response that do not change between requests."""
    body = answer.json()
    return answer.status_code, {key: body[key] for key in body if key not in ("request_id", "id", "created_at")} | {
        "outputs": json.loads(json.dumps(body.get("outputs")).replace(str(body.get("id")), ""))
    }


@pytest.mark.parametrize("headers", [JSON, {}, {"content-type": "text/plain"}])
@pytest.mark.parametrize("api", BODIES)
def test_the_mark_is_skipped(http: httpx.Client, api: str, headers: dict[str, str]) -> None:
    good = BODIES[api]
    plain = http.request(**good)
    marked = http.request(**good | {"headers": headers, "content": BOM + good["content"].encode()})
    assert stable(marked) == stable(plain)
    assert http.request(**good | {"headers": JSON, "content": BOM + BOM + b"{}"}).status_code == 400


def test_the_mark_is_skipped_in_binary_bodies(http: httpx.Client) -> None:
    size = int(BINARY["headers"]["inference-header-content-length"])
    headers = BINARY["headers"] | {"inference-header-content-length": str(size + 3)}
    assert stable(http.request(**BINARY | {"headers": headers, "content": BOM + BINARY["content"]})) == stable(
        http.request(**BINARY)
    )


@pytest.mark.parametrize("path", ["/v1/models/line:predict", "/v1/models/line:classify"])
def test_the_mark_is_skipped_in_large_bodies_and_before_nan(http: httpx.Client, path: str) -> None:
    for rows in ([[1.0, 2.0, 3.0]] * 100, [[1.0, float("nan"), 3.0]]):
        body = json.dumps({"instances": rows} if "predict" in path else {"examples": [{"x": row} for row in rows]})
        padded = BOM + body.encode() + b" " * 300_000
        assert stable(http.post(path, content=padded)) == stable(http.post(path, content=body))
