"""Canary, shadow and fallbacks with both back ends, set by the rollout commands."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serving.artifacts import rollout
from serving.artifacts.registry import ModelRegistry
from tests.programs import REPOSITORY, model_server, model_server_program
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

EMBED = "/v1/models/shade:embed"
PICTURE = picture(100)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of shade and of price. Version 1 is stable; version 3 of price is a series model."""
    root = tmp_path_factory.mktemp("exports")
    for version in (1, 2, 3):
        served_models.shade(root, version)
    ModelRegistry(root).promote("shade", 1)
    served_models.price(root, 1)
    served_models.price(root, 2, turned=True)
    served_models.trend(root, 3)
    (root / "trend" / "3").rename(root / "price" / "3")
    (root / "trend").rmdir()
    ModelRegistry(root).promote("price", 1)
    return root


@pytest.fixture(scope="module", params=["model server", "embedded"])
def served(root: Path, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            gateway = stack.enter_context(programs.embedded_gateway(root))
        else:
            address = stack.enter_context(model_server(root, *programs.PROMPT))
            routing = f"--routing={root / 'routing.json'}"
            gateway = stack.enter_context(programs.gateway(address, root / "models.config", routing))
        programs.wait_until_ready(gateway, "shade")
        yield gateway


@pytest.fixture
def gateway(served: Gateway, root: Path) -> Gateway:
    """The gateway with version 1 answering everything."""
    (root / "routing.json").unlink(missing_ok=True)
    registry = ModelRegistry(root)
    registry.promote("shade", 1)
    for label in registry.labels("shade").keys() - {"stable"}:
        registry.unlabel("shade", label)
    until(lambda: version(served) == 1 and not shares(served))
    return served


def shares(gateway: Gateway) -> list[str]:
    return re.findall(r"^vitrine_canary_share\{.*", gateway.http.get("/metrics").text, re.MULTILINE)


def canary(gateway: Gateway, root: Path, version: int, percent: float, sticky: str | None = None) -> None:
    """Run ``vitrine canary``, and wait for the gateway to apply it."""
    rollout.canary(ModelRegistry(root), "shade", version, percent, sticky)
    line = f'vitrine_canary_share{{model="shade",version="{version}"}}'
    until(lambda: metric(gateway, line) == percent)


def version(gateway: Gateway, headers: dict[str, str] | None = None, path: str = EMBED) -> int:
    answer = gateway.http.post(path, content=PICTURE, headers=headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["embeddings"][0][1] == body["version"] == int(answer.headers["x-model-version"])
    return int(body["version"])


def metric(gateway: Gateway, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", gateway.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def until(condition: Callable[[], bool]) -> float:
    """Poll until the condition is true; return the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + 20
    return time.monotonic() - started


def test_each_rollout_command_takes_effect(gateway: Gateway, root: Path) -> None:
    registry = ModelRegistry(root)
    for step, live in (
        (lambda: rollout.canary(registry, "shade", 3, 100), 3),
        (lambda: rollout.off(registry, "shade", "canary"), 1),
        (lambda: rollout.promote(registry, "shade", 3), 3),
        (lambda: rollout.canary(registry, "shade", 1, 100), 1),
        (lambda: rollout.rollback(registry, "shade"), 3),
        (lambda: rollout.rollback(registry, "shade"), 1),
    ):
        step()
        until(lambda live=live: version(gateway) == live)


@pytest.mark.usefixtures("gateway")
def test_a_rollback_does_not_wait_for_a_hanging_model_server(root: Path) -> None:
    """Prints the time that the rollback takes with default settings (``pytest -rP``)."""
    registry = ModelRegistry(root)
    with (
        model_server_program(root, *programs.PROMPT) as (address, server),
        programs.gateway(
            address, root / "models.config", f"--routing={root / 'routing.json'}", "--poll-seconds=1"
        ) as gateway,
    ):
        programs.wait_until_ready(gateway, "shade")
        rollout.canary(registry, "shade", 3, 100)
        until(lambda: version(gateway) == 3)
        server.process.send_signal(signal.SIGSTOP)
        try:
            command = [sys.executable, "-m", "serving.cli.main", "rollback", "shade"]
            subprocess.run([*command, f"--exports={root}"], cwd=REPOSITORY, check=True, capture_output=True)
            print(f"rollback: {until(lambda: 'model shade: canary off' in gateway.program.output):.2f} s")
        finally:
            server.process.send_signal(signal.SIGCONT)
        until(lambda: version(gateway) == 1)


def test_a_canary_that_is_not_available_is_logged(gateway: Gateway, root: Path) -> None:
    routes = root / "routing.json"
    routes.write_text('{"shade": {"canary": {"version": 9, "percent": 10}}}')
    gateway.program.wait_for("model shade canary: 9 in routing.json is not AVAILABLE")
    assert version(gateway) == 1
    routes.write_text("{}")
    gateway.program.wait_for("model shade canary: recovered")


def test_a_canary_gets_a_share_of_requests_without_a_version(gateway: Gateway, root: Path) -> None:
    canary(gateway, root, 2, 30)  # not loaded: the command adds a label, which loads it
    counts = Counter(version(gateway) for _ in range(400))
    assert counts.keys() == {1, 2}
    assert 70 < counts[2] < 170  # five standard deviations around 120
    assert {version(gateway, path="/v1/models/shade/versions/1:embed") for _ in range(20)} == {1}
    assert {version(gateway, path="/v1/models/shade/labels/stable:embed") for _ in range(20)} == {1}


def test_a_sticky_canary_keeps_its_callers(gateway: Gateway, root: Path) -> None:
    callers = [{"X-User": f"caller-{number}"} for number in range(60)]
    canary(gateway, root, 3, 20, "header:x-user")
    first = [version(gateway, caller) for caller in callers]
    assert {1, 3} == set(first)
    assert first == [version(gateway, caller) for caller in callers]
    canary(gateway, root, 3, 60, "header:x-user")
    more = [version(gateway, caller) for caller in callers]
    assert all(now == 3 for now, before in zip(more, first, strict=True) if before == 3)
    assert sum(one == 3 for one in more) > sum(one == 3 for one in first)


def test_a_sticky_canary_sets_a_cookie(gateway: Gateway, root: Path) -> None:
    canary(gateway, root, 3, 50, "cookie:vitrine")
    versions = set()
    for _ in range(40):
        with httpx.Client(base_url=gateway.url) as browser:
            answer = browser.post(EMBED, content=PICTURE)
            assert re.fullmatch(r"vitrine=[\w-]{16}; Path=/; HttpOnly; SameSite=Lax", answer.headers["set-cookie"])
            first = answer.json()["version"]
            for _ in range(5):
                answer = browser.post(EMBED, content=PICTURE)
                assert answer.json()["version"] == first
                assert "set-cookie" not in answer.headers
            versions.add(first)
    assert versions == {1, 3}


def test_an_invalid_edit_changes_nothing_and_is_reported(gateway: Gateway, root: Path) -> None:
    canary(gateway, root, 3, 100)
    good = (root / "routing.json").read_text()
    (root / "routing.json").write_text(good.replace("100", "1000"))
    # The first poll may find a half-written file, which is rejected for another reason.
    until(lambda: "shade.canary.percent" in "".join(gateway.http.get("/readyz").json()["notes"]))
    assert gateway.http.get("/readyz").status_code == 200
    assert metric(gateway, 'vitrine_file_refused{file="routing"}') == 1
    assert "the last valid content stays in use" in gateway.program.output
    assert version(gateway) == 3
    (root / "routing.json").write_text(good)
    until(lambda: gateway.http.get("/readyz").json()["notes"] == [])
    (root / "routing.json").unlink()
    until(lambda: version(gateway) == 1)


def test_fallbacks_answer_without_the_live_version(gateway: Gateway, root: Path) -> None:
    (root / "routing.json").write_text('{"shade": {"live": 9, "fallback": ["unknown", 3]}}')
    until(lambda: version(gateway) == 3)
    (root / "routing.json").write_text('{"shade": {"canary": {"version": 9, "percent": 100}}}')
    until(lambda: version(gateway) == 1)  # a canary that is not AVAILABLE gets no request


def test_a_shadow_gets_copies_and_agreement_is_measured(gateway: Gateway, root: Path) -> None:
    rollout.shadow(ModelRegistry(root), "shade", 3, 100)
    gateway.program.wait_for("model shade: shadow 100 % of version 3")
    name = '{model="shade",outcome="compared",version="3"}'
    for count in range(1, 11):
        answer = gateway.http.post("/v1/models/shade:predict", content=picture(20 * count))
        assert answer.json()["version"] == 1
        until(lambda count=count: metric(gateway, f"vitrine_shadow_requests_total{name}") == count)
    assert metric(gateway, 'vitrine_shadow_rows_total{agreement="same",model="shade",version="3"}') == 10
    assert metric(gateway, 'vitrine_shadow_difference_sum{model="shade",version="3"}') == 0
    assert version(gateway) == 1  # embeddings differ by the version: [100, 1] and [100, 3]
    until(lambda: metric(gateway, f"vitrine_shadow_requests_total{name}") == 11)
    difference = metric(gateway, 'vitrine_shadow_difference_sum{model="shade",version="3"}')
    assert difference == pytest.approx(2 / 101)
    assert version(gateway, path="/v1/models/shade/versions/1:embed") == 1  # requests for a version have no shadow
    rollout.off(ModelRegistry(root), "shade", "shadow")
    gateway.program.wait_for("model shade: shadow off")
    assert version(gateway) == 1
    assert metric(gateway, f"vitrine_shadow_requests_total{name}") == 11


def test_a_shadow_with_another_column_order_gets_its_own_tensors(gateway: Gateway, root: Path) -> None:
    rollout.shadow(ModelRegistry(root), "price", 2, 100)
    gateway.program.wait_for("model price: shadow 100 % of version 2")
    answer = gateway.http.post("/v1/models/price:predict", json={"features": {"rooms": 3, "age": 10}})
    assert answer.json()["predictions"] == [{"value": 103}]
    until(lambda: metric(gateway, 'vitrine_shadow_difference_count{model="price",version="2"}') == 1)
    assert metric(gateway, 'vitrine_shadow_difference_sum{model="price",version="2"}') == pytest.approx(3 / 103)
    rollout.off(ModelRegistry(root), "price", "shadow")


def test_a_shadow_of_another_kind_fails_without_a_logged_defect(gateway: Gateway, root: Path) -> None:
    rollout.shadow(ModelRegistry(root), "price", 3, 100)
    gateway.program.wait_for("model price: shadow 100 % of version 3")
    assert gateway.http.post("/v1/models/price:predict", json={"features": [3, 10]}).status_code == 200
    until(lambda: metric(gateway, 'vitrine_shadow_requests_total{model="price",outcome="failed",version="3"}') == 1)
    assert "could not be compared" not in gateway.program.output
    rollout.off(ModelRegistry(root), "price", "shadow")
