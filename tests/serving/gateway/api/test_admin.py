"""Promote, canary and rollback over HTTP, with real processes, keys and files."""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.artifacts.registry import ModelRegistry
from serving.gateway.http import keys_file
from tests.programs import Program, free_port, model_server
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.http.test_authentication import bearer
from tests.serving.gateway.models.test_canary import metric, shares, until, version
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.workers.test_supervisor import READY, client_of_each

ORIGIN = "https://shop.example"


def exports(root: Path) -> Path:
    """Write three versions of shade, of which the first is live, and damage the files of the third."""
    for number in (1, 2, 3):
        served_models.shade(root, number)
    ModelRegistry(root).promote("shade", 1)
    (root / "shade" / "3" / "assets.extra" / "model.onnx").write_bytes(b"damaged")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Gateway]:
    """A gateway without keys that allows changes."""
    with programs.embedded_gateway(root, "--admin", f"--cors-origins={ORIGIN},*") as gateway:
        programs.wait_until_ready(gateway, "shade")
        yield gateway


def change(gateway: Gateway, verb: str, headers: dict[str, str] | None = None, **sent: object) -> httpx.Response:
    return gateway.http.post(f"/v1/models/shade:{verb}", json=sent, headers=headers)


def audited(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the log's lines on changes."""
    return [json.loads(line) for line in gateway.program.output.splitlines() if '"vitrine.admin"' in line]


def test_changes_are_those_of_the_commands(served: Gateway, root: Path) -> None:
    unused = {"before": None, "ended": None}
    for verb, sent, answer, live in (
        ("promote", {"version": 2}, {"version": 2, "label": "stable", "before": 1}, 2),
        ("canary", {"version": 1, "percent": 100}, {"version": 1, "label": "canary"}, 1),
        ("rollback", {}, {"version": 2, "label": "stable", "before": 2, "ended": 1}, 2),
        ("rollback", {}, {"version": 1, "label": "stable", "before": 2}, 1),
        ("promote", {"version": 2, "label": "tried"}, {"version": 2, "label": "tried"}, 1),
    ):
        response = change(served, verb, **sent)
        assert response.status_code == 200, response.text
        assert response.json() == {"model": "shade", **unused, **answer}
        until(lambda live=live: version(served) == live)
    assert ModelRegistry(root).labels("shade") == {"stable": 1, "previous": 2, "tried": 2}
    assert metric(served, 'vitrine_requests_total{code="200",model="shade",verb="rollback",version=""}') == 2
    until(lambda: len(audited(served)) == 5)
    lines = audited(served)
    assert [(line["verb"], line["model"], line.get("version")) for line in lines] == [
        ("promote", "shade", 2),
        ("canary", "shade", 1),
        ("rollback", "shade", None),
        ("rollback", "shade", None),
        ("promote", "shade", 2),
    ]
    assert lines[1]["percent"] == 100 and lines[0]["by"] == "a caller on this machine" and lines[0]["request_id"]


@pytest.mark.parametrize("verb", ["promote", "canary", "rollback", "feedback"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_than_post_are_refused(served: Gateway, method: str, verb: str) -> None:
    response = served.http.request(method, f"/v1/models/shade:{verb}")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert "POST" in response.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": ORIGIN}, 200),
        ({"Origin": "http://localhost:1234", "Host": "localhost:1234"}, 200),
        ({"Origin": "http://[::1]:1234", "Host": "[::1]:1234"}, 200),
        ({"Origin": "https://attacker.example"}, 403),  # * in cors_origins is for inference
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8080", "Host": "localhost:1234"}, 403),
        ({"Origin": "http://attacker.example", "Host": "attacker.example"}, 403),  # DNS rebinding
        ({"Host": "attacker.example"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Host": "[::1"}, 403),
    ],
)
def test_only_the_gateway_s_own_page_and_allowed_origins_may_change(
    served: Gateway, headers: dict[str, str], status: int
) -> None:
    response = change(served, "promote", headers, version=2, label="tried")
    assert response.status_code == status, response.text
    assert status == 200 or response.json()["code"] == "forbidden"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("shade:promote", {"version": 9}, 404, "shade has no version 9; there are: 1, 2, 3"),
        ("nobody:promote", {"version": 1}, 404, "there is no model nobody; there are: shade"),
        ("shade/versions/2:promote", {"version": 2}, 404, "use /v1/models/shade:promote"),
        ("shade/versions/2:feedback", {"version": 2}, 404, "use /v1/models/shade:feedback"),
        ("..:promote", {"version": 1}, 404, "is not a model name"),
        ("%2E%2E%2Fshade:promote", {"version": 1}, 404, ""),
        ("shade:promote", {"version": 3}, 409, "shade version 3 cannot be promoted"),
        ("shade:canary", {"version": 3, "percent": 1}, 409, "cannot be promoted"),
        ("shade:canary", {"version": 1, "percent": 1}, 409, "version 1 of shade is live already"),
        ("shade:promote", {}, 400, "version is missing"),
        ("shade:promote", {"version": "2"}, 400, "version is '2': it should be"),
        ("shade:promote", {"version": 2, "label": "a b"}, 400, "label is 'a b': "),
        ("shade:promote", {"version": 2, "lable": "x"}, 400, "lable is not a known field"),
        ("shade:canary", {"version": 2, "percent": 101}, 400, "percent is 101: "),
        ("shade:canary", {"version": 2, "percent": 1, "sticky": "ip"}, 400, "sticky is 'ip': "),
        ("shade:rollback", {"version": 2}, 400, "version is not a known field"),
        ("shade:promote", [], 400, "the body: "),
        ("shade:promote", {"version": 2, "label": "x" * 5000}, 413, "more than 4096 bytes"),
    ],
)
def test_wrong_changes_are_refused(served: Gateway, path: str, body: object, status: int, words: str) -> None:
    response = served.http.post(f"/v1/models/{path}", json=body)
    assert (response.status_code, list(response.json())) == (status, ["error", "code", "request_id"]), response.text
    assert words in response.json()["error"]


def test_two_changes_at_once_are_refused(served: Gateway, root: Path) -> None:
    """As another gateway or a command does, hold the model's folder."""
    descriptor = os.open(root / "shade", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        response = change(served, "rollback")
    finally:
        os.close(descriptor)
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "another change of shade is in progress" in response.json()["error"]
    assert change(served, "promote", version=2, label="tried").status_code == 200


def test_without_the_flag_nobody_changes_versions(root: Path) -> None:
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, "shade")
        response = change(gateway, "rollback")
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert "--admin" in response.json()["error"]
        assert gateway.http.get("/v1/models/shade/versions").json()["admin"]["allowed"] is False


def test_a_key_changes_versions_only_with_the_verb_admin(tmp_path: Path) -> None:
    root, file = exports(tmp_path / "exports"), tmp_path / "keys.json"
    given = {
        "admin": keys_file.create(file, "operator", verbs=frozenset({"admin", "embed"}))[1],
        "every verb": keys_file.create(file, "shop")[1],
        "other model": keys_file.create(file, "other", frozenset({"price"}), frozenset({"admin"}))[1],
    }
    with programs.embedded_gateway(root, f"--keys={file}", f"--cors-origins={ORIGIN}") as gateway:
        programs.wait_until_ready(gateway, "shade")
        for name, status in (("every verb", 403), ("other model", 403), ("admin", 200)):
            response = change(gateway, "promote", bearer(given[name]), version=2)
            assert response.status_code == status, response.text
        assert (
            "vitrine keys create NAME --verb admin"
            in change(gateway, "promote", bearer(given["every verb"]), version=2).json()["error"]
        )
        assert change(gateway, "promote", version=1).status_code == 401
        admin = bearer(given["admin"])
        assert change(gateway, "promote", admin | {"Origin": "https://evil.example"}, version=1).status_code == 403
        until(lambda: version(gateway, admin) == 2)
        predict = gateway.http.post("/v1/models/shade:predict", content=picture(), headers=admin)
        assert predict.status_code == 403  # the key has admin and embed only
        for name, allowed in (("admin", True), ("every verb", False)):
            listed = gateway.http.get("/v1/models/shade/versions", headers=bearer(given[name])).json()
            assert listed["admin"]["allowed"] is allowed
        until(lambda: bool(audited(gateway)))
        (line,) = audited(gateway)
        assert line["by"].endswith("(operator)") and given["admin"] not in gateway.program.output


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    root = exports(tmp_path / "exports")
    root.chmod(0o555)
    rights = "-dac_override,-dac_read_search"
    as_user = ["setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}"] if os.geteuid() == 0 else []
    port = free_port()
    command = [*as_user, sys.executable, "-m", "serving.gateway", f"--exports={root}", f"--port={port}", "--admin"]
    program = Program(command)
    try:
        program.wait_for("model shade: requests that name no version")
        url = f"http://127.0.0.1:{port}/v1/models/shade"
        response = httpx.post(f"{url}:promote", json={"version": 2})
        assert (response.status_code, response.json()["code"]) == (409, "read_only")
        assert f"may not write to {root}" in response.json()["error"]
        assert httpx.get(f"{url}/versions").json()["admin"] == {"allowed": False, "reason": response.json()["error"]}
    finally:
        program.stop()
        root.chmod(0o755)


def test_a_gateway_without_the_models_folder(tmp_path: Path) -> None:
    root = exports(tmp_path / "exports")
    (tmp_path / "elsewhere").mkdir()
    config = Path(shutil.copy(root / "models.config", tmp_path / "elsewhere"))
    routing = f"--routing={config.with_name('routing.json')}"
    with model_server(root, *programs.PROMPT) as address:
        with programs.gateway(address, config, "--admin", routing) as gateway:
            programs.wait_until_ready(gateway, "shade")
            response = change(gateway, "promote", version=2)
            assert (response.status_code, response.json()["code"]) == (501, "unimplemented")
            assert "where the exports folder is" in response.json()["error"]
            listed = gateway.http.get("/v1/models/shade/versions").json()
            assert listed["admin"] == {"allowed": False, "reason": response.json()["error"]}
            assert not any(one["files"] for one in listed["versions"])
        (config.parent / "shade").symlink_to(root / "shade")
        (config.parent / ".copied_from").write_text("s3://bucket/exports\n")  # as serving/artifacts/sync.py does
        with programs.gateway(address, config, "--admin", routing) as gateway:
            programs.wait_until_ready(gateway, "shade")
            response = change(gateway, "promote", version=2)
            assert response.status_code == 501 and "--exports s3://bucket/exports" in response.json()["error"]


def test_every_worker_applies_a_change(tmp_path: Path) -> None:
    root = exports(tmp_path / "exports")
    workers = programs.embedded_gateway(root, "--admin", "--workers=2", ready=READY)
    with workers as gateway, client_of_each(gateway) as clients:
        for verb, sent, live in (("promote", {"version": 2}, 2), ("rollback", {}, 1)):
            assert change(gateway, verb, **sent).status_code == 200
            for client in clients.values():
                one = Gateway(client, gateway.program, gateway.url)
                until(lambda one=one, live=live: version(one) == live)
        assert change(gateway, "canary", version=2, percent=50).status_code == 200
        until(lambda: bool(shares(gateway)))
