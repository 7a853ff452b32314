"""The access log: the fields of a line, sampling, and what is never logged."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.gateway.observability.logging import TextLines
from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway import served_models as models
from tests.serving.gateway.programs import Gateway

SECRET = "vt_a-key-that-nobody-has-0123456789"  # pragma: allowlist secret


@pytest.fixture(scope="module")
def address(models_root: Path) -> Iterator[str]:
    with model_server(models_root, *programs.PROMPT) as one:
        yield one


def send(one: Gateway, number: int) -> None:
    """Send valid and invalid requests with values that must not be logged."""
    secret = {"authorization": f"Bearer {SECRET}", "x-request-id": f"r-{number}"}
    good = {"features": {"rooms": 3.1234567, "age": 10}}
    assert one.http.post("/v1/models/price:predict", json=good, headers=secret).status_code == 200
    body = b'{"features": "the-body-of-a-caller'
    assert one.http.post("/v1/models/price:predict", content=body, headers=secret).status_code == 400
    assert one.http.get(f"/livez?{number}", headers=secret).status_code == 200


def test_json_lines_name_the_request_but_neither_body_nor_key(address: str, models_root: Path) -> None:
    with programs.gateway(address, models_root / "models.config", "--access-log=1", "--log-level=debug") as one:
        programs.wait_until_ready(one, *models.NAMES)
        send(one, 7)
        one.program.wait_for('"message":"GET /livez 200"')
        output = one.program.output
    lines = [json.loads(line) for line in output.splitlines()]
    (good,) = [line for line in lines if line["message"] == "POST /v1/models/price:predict 200"]
    assert good["request_id"] == "r-7"
    assert (good["model"], good["model_version"], good["status"]) == ("price", "1", 200)
    assert good["ms"] > 0 and good["bytes"] > 10
    for secret in (SECRET, "3.1234567", "the-body-of-a-caller", "Bearer"):
        assert secret not in output


def test_text_lines_of_a_sample(address: str, models_root: Path) -> None:
    with programs.gateway(address, models_root / "models.config", "--access-log=0.5", "--log-format=text") as one:
        programs.wait_until_ready(one, *models.NAMES)
        for number in range(40):
            send(one, number)
        one.program.wait_for("POST /v1/models/price:predict 200 request_id=r-")
        output = one.program.output
    logged = [line for line in output.splitlines() if "INFO vitrine.requests: " in line]
    assert 30 < len(logged) < 90  # of 120, chosen at random
    assert SECRET not in output


def test_a_path_cannot_forge_a_line() -> None:
    record = logging.LogRecord("vitrine.requests", logging.INFO, "", 0, "GET %s", ("/a\nERROR forged\x1b[2J",), None)
    record.path = "/b\r\n"
    (line,) = TextLines().format(record).splitlines()
    assert line.endswith(r"GET /a\x0aERROR forged\x1b[2J path=/b\x0d\x0a")
