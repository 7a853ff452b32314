"""The liveness probe of a model server fails when predictions do, and only then."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from serving.artifacts.models_config import ModelConfig
from serving.gateway.model_server_liveness import Evidence, Finding, numeric, problem, zeros
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from tests.programs import Program, free_port, running
from tests.serving.model_server import versions
from tests.serving.model_server.servers import READY, configure

COMPUTED, REFUSED, FAILED, NONE = (
    Finding(Evidence.COMPUTED),
    Finding(Evidence.REFUSED, "full"),
    Finding(Evidence.FAILED, "CUDA error"),
    Finding(Evidence.NONE),
)


@pytest.mark.parametrize(
    ("findings", "idle", "expected"),
    [
        ({}, 999, None),
        ({"a": NONE}, 999, None),
        ({"a": COMPUTED, "b": FAILED}, 0, None),  # b is broken, not the card
        ({"a": FAILED, "b": NONE}, 0, "a: CUDA error"),
        ({"a": FAILED, "b": FAILED}, 0, "a: CUDA error; b: CUDA error"),
        ({"a": REFUSED}, 299, None),
        ({"a": REFUSED, "b": FAILED}, 299, None),
        ({"a": REFUSED}, 301, "a: full"),  # a card that hangs fills the queue
    ],
)
def test_problem(findings: dict[str, Finding], idle: float, expected: str | None) -> None:
    assert problem(findings, idle, 300) == expected


def test_the_probe_calls_a_signature_of_numbers_with_its_own_shape() -> None:
    image = TensorSpec("image", messages.DT_UINT8, (None, 28, 28, 1))
    text = TensorSpec("query", messages.DT_STRING, (None,))
    scores = TensorSpec("scores", messages.DT_FLOAT, (None, 10))
    signatures = {
        "describe": Signature("describe", {"query": text}, {"card": text}),
        "embed": Signature("embed", {"image": image}, {"scores": scores}),
        "serving_default": Signature("serving_default", {"image": image}, {"scores": scores}),
    }
    found = numeric(signatures)
    assert found is signatures["serving_default"]
    assert zeros(found)["image"].shape == (1, 28, 28, 1) and zeros(found)["image"].dtype == "uint8"
    assert numeric({"describe": signatures["describe"]}) is None


@dataclass(frozen=True)
class Pod:
    """A model server whose faults a file decides, and the probe beside it."""

    plan: Path
    config: Path
    server: Program
    http: httpx.Client

    def livez(self, *faults: str) -> httpx.Response:
        draft = self.plan.with_suffix(".new")
        draft.write_text("\n".join(faults))
        draft.rename(self.plan)
        return self.http.get("/livez")


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    root = tmp_path_factory.mktemp("pod")
    models = [ModelConfig(name, str(root / name)) for name in ("a", "b")]
    for model in models:
        versions.write(root / model.name / "1")
    config = configure(root, models)
    (root / "plan").write_text("")
    port, probe = free_port(), free_port()
    server = ("-m", "tests.serving.gateway.failing_model_server", str(root / "plan"), f"--port={port}")
    watcher = ("-m", "serving.gateway.model_server_liveness", f"--models-config={config}", f"--port={probe}")
    limits = ("--host=127.0.0.1", "--deadline-seconds=0.7", "--longest-refusal=0.5")
    address = f"--model-server=127.0.0.1:{port}"
    with (
        running(*server, f"--model_config_file={config}", ready=READY) as program,
        running(*watcher, *limits, address, ready="Uvicorn running"),
        httpx.Client(base_url=f"http://127.0.0.1:{probe}", timeout=30) as http,
    ):
        yield Pod(root / "plan", config, program, http)
        (root / "plan").write_text("")  # ends runs that hang


def test_a_sticky_error_fails_the_probe(pod: Pod) -> None:
    assert pod.livez().status_code == 200
    answer = pod.livez("a error", "b error")
    assert answer.status_code == 503
    assert "a: the model server failed (INTERNAL): CUDA_ERROR_ILLEGAL_ADDRESS" in answer.text and "b:" in answer.text
    assert pod.livez().status_code == 200


def test_a_broken_model_beside_one_that_computes_does_not(pod: Pod) -> None:
    assert pod.livez("a error").status_code == 200
    assert pod.livez("a hang").status_code == 200


def test_a_card_that_hangs_fails_the_probe(pod: Pod) -> None:
    answer = pod.livez("a hang", "b hang")
    assert answer.status_code == 503
    assert "did not answer before the deadline" in answer.text
    assert pod.livez().status_code == 200  # the plan is empty, so that the waiting calls end


def test_a_full_queue_fails_the_probe_only_after_a_while(pod: Pod) -> None:
    assert pod.livez().status_code == 200
    assert pod.livez("a full", "b full").status_code == 200
    pod.server.wait_until(lambda: pod.livez("a full", "b full").status_code == 503)
    assert pod.livez().status_code == 200


def test_a_server_without_models_is_alive_and_one_that_ended_is_not(pod: Pod) -> None:
    pod.config.write_text("model_config_list {}")
    assert pod.livez().status_code == 200
    configure(pod.config.parent, [ModelConfig("a", "/nowhere")])
    pod.server.stop()
    answer = pod.livez()
    assert answer.status_code == 503 and "cannot be reached" in answer.text
