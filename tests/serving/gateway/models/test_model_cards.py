"""Model cards from a model server: with the deployed flags, and unreadable ones."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml

from serving.artifacts.model_card import ModelCard
from serving.gateway.http import keys_file
from serving.gateway.models.signature import Signature, TensorSpec
from serving.tfs_api import messages
from serving.tfs_api.tensors import to_proto
from tests.programs import REPOSITORY, free_port, running
from tests.serving.gateway import programs, stub
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import metric, until
from tests.serving.gateway.programs import Gateway

CONTENT = "--enable_serialization_as_tensor_content=true"


def deployed_flags() -> dict[str, list[str]]:
    """The flags of each model server in the Dockerfile and the Kubernetes manifests."""
    stages = re.findall(r"^FROM \S+ AS (\S+)$(.*?)(?=^FROM |\Z)", (REPOSITORY / "Dockerfile").read_text(), re.M | re.S)
    commands = {name: re.findall(r"^CMD (\[.*?\])$", text.replace("\\\n", ""), re.M) for name, text in stages}
    flags = {name: json.loads(commands[name][-1]) for name in ("embedded-server", "model-server", "model-server-gpu")}
    for manifest in yaml.safe_load_all((REPOSITORY / "k8s/base/model-server.yaml").read_text()):
        if manifest["kind"] == "Deployment":
            flags["Kubernetes"] = manifest["spec"]["template"]["spec"]["containers"][0]["args"]
    return flags


@pytest.mark.parametrize("deployment", ["embedded-server", "model-server", "model-server-gpu", "Kubernetes"])
def test_models_have_cards_with_the_deployed_flags(deployment: str, models_root: Path) -> None:
    port, flags = free_port(), deployed_flags()[deployment]
    assert CONTENT in flags, "a deployment lacks the flag that puts strings into tensor_content"
    ports = {"--port": str(port), "--rest_api_port": str(free_port())}
    local = [
        f"{name}={ports.get(name, value)}" if value else name
        for name, _, value in (
            flag.replace("/models/", f"{models_root}/")
            .replace("/etc/vitrine", str(REPOSITORY / "k8s/base/model-server"))
            .partition("=")
            for flag in flags
        )
    ]
    with (
        running(
            "-m", "serving.model_server", *local, f"--mount=/models={models_root}", ready="Exporting HTTP/REST API"
        ),
        programs.gateway(f"127.0.0.1:{port}", models_root / "models.config") as gateway,
    ):
        programs.wait_until_ready(gateway, "shade", "trend")
        assert gateway.http.get("/readyz").status_code == 200
        assert gateway.http.get("/v1/models/shade/card").json()["labels"] == ["dark", "middle", "light"]
        answer = gateway.http.post("/v1/models/shade:predict", content=picture())
        assert (answer.status_code, answer.json()["model"]) == (200, "shade"), answer.text
        assert gateway.http.post("/v1/models/shade:embed", content=picture()).status_code == 200
        history = {"history": [1, 2, 3, 4], "horizon": 2}
        assert gateway.http.post("/v1/models/trend:forecast", json=history).status_code == 200


def spec(name: str, data_type: int = messages.DT_STRING) -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, data_type, (None,))}


DESCRIBE = Signature("describe", spec("query"), spec("card"))
ECHO = stub.echo("serving_default", *spec("x", messages.DT_FLOAT).values())

Describe = Callable[[grpc.ServicerContext], Any]


def content(data: bytes) -> Describe:
    """A ``card`` of one string whose ``tensor_content`` is this."""
    proto = messages.TensorProto(dtype=messages.DT_STRING, tensor_content=data)
    proto.tensor_shape.dim.add().size = 1
    return lambda _: proto


def string(data: bytes) -> Describe:
    return lambda _: to_proto(np.array([data], object), as_content=False)


def fails(code: grpc.StatusCode) -> Describe:
    return lambda context: context.abort(code, "it is broken")


#: By model, the response of ``describe`` and a part of the reported reason.
UNREADABLE: dict[str, tuple[Describe, str]] = {
    "short_content": (content(b"\x05ab"), "lengths of its 1 strings add up to 5"),
    "broken_length": (content(b"\xff" * 6), "takes more than five bytes"),
    "invalid_json": (string(b"{"), "the model card cannot be read"),
    "invalid_utf_8": (string(b'{"title": "\xff"}'), "the model card cannot be read"),
    "other_document": (string(b'{"model": "line"}'), "Field required"),
    "empty": (string(b""), "the model card cannot be read"),
    "newer_format": (string(b'{"format": 2}'), "format"),
    "wrong_type": (lambda _: to_proto(np.ones(1, np.float32)), "the model card cannot be read"),
    "two_cards": (lambda _: to_proto(np.array([b"{}", b"{}"], object)), "one row was sent"),
    "no_output": (lambda _: None, "lacks output card"),
    "internal": (fails(grpc.StatusCode.INTERNAL), "(INTERNAL): it is broken"),
    "refused": (fails(grpc.StatusCode.INVALID_ARGUMENT), "it is broken"),
    "unimplemented": (fails(grpc.StatusCode.UNIMPLEMENTED), "it is broken"),
    "too_late": (fails(grpc.StatusCode.DEADLINE_EXCEEDED), "before the deadline"),
}


class Describing(stub.Stub):
    """Answers ``describe`` with prepared tensors, and counts the calls."""

    def __init__(self, answers: dict[str, Describe]) -> None:
        super().__init__({name: {"describe": DESCRIBE, "serving_default": ECHO} for name in answers})
        self.answers = answers
        self.describe_calls = dict.fromkeys(answers, 0)

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.model_spec.signature_name != "describe":
            return super().predict(request, context)
        name = request.model_spec.name
        self.describe_calls[name] += 1
        response = messages.PredictResponse(model_spec=request.model_spec)
        answer = self.answers[name](context)
        if answer is not None:
            response.outputs["card"].CopyFrom(answer)
        return response


@pytest.fixture(scope="module")
def card(models_root: Path) -> bytes:
    """A readable card."""
    return (models_root / "trend/1/assets.extra/card.json").read_bytes()


@pytest.fixture(scope="module")
def describing(card: bytes) -> Describing:
    good = {"in_string_val": string(card), "in_content": lambda _: to_proto(np.array([card], object))}
    return Describing({**{name: answer for name, (answer, _) in UNREADABLE.items()}, **good})


@pytest.fixture(scope="module")
def gateway(describing: Describing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = ",".join(describing.answers)
    config = tmp_path_factory.mktemp("none") / "none"
    with stub.serving(describing) as address, programs.gateway(address, config, f"--models={models}") as gateway:
        programs.wait_until_ready(gateway, *describing.answers)
        yield gateway


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_card_is_reported(gateway: Gateway, describing: Describing, name: str) -> None:
    words = UNREADABLE[name][1]
    before = describing.describe_calls[name]
    until(lambda: describing.describe_calls[name] > before + 3)  # fetched with every poll, but logged once
    lines = [line for line in gateway.program.output.splitlines() if f"model {name} card of version 1: " in line]
    (line,) = map(json.loads, lines)
    assert (line["level"], words in line["message"]) == ("error", True)
    assert metric(gateway, f'vitrine_model_card_unreadable{{model="{name}",version="1"}}') == 1
    ready = gateway.http.get("/readyz")
    (note,) = (note for note in ready.json()["notes"] if f"model {name} version 1 " in note)
    assert (ready.status_code, ready.json()["ready"], words in note) == (200, True, True)
    for what in ("card", "drift"):
        missing = gateway.http.get(f"/v1/models/{name}/{what}")
        assert (missing.status_code, words in missing.json()["error"]) == (404, True)
    verb = gateway.http.post(f"/v1/models/{name}:forecast", json={"history": [1, 2, 3, 4], "horizon": 2})
    assert (verb.status_code, words in verb.json()["error"]) == (404, True)
    answer = gateway.http.post(f"/v1/models/{name}:predict", json={"instances": [1.5]})
    assert answer.json() == {"predictions": [1.5]}


@pytest.mark.parametrize("name", ["in_string_val", "in_content"])
def test_a_readable_card_is_not_reported(gateway: Gateway, card: bytes, name: str) -> None:
    assert ModelCard.model_validate(
        gateway.http.get(f"/v1/models/{name}/card").json()
    ) == ModelCard.model_validate_json(card)
    assert metric(gateway, f'vitrine_model_card_unreadable{{model="{name}",version="1"}}') == 0
    assert name not in str(gateway.http.get("/readyz").json()["notes"])


def test_a_card_is_read_once_it_becomes_readable(gateway: Gateway, describing: Describing, card: bytes) -> None:
    broken = describing.answers["internal"]
    describing.answers["internal"] = string(card)
    try:
        until(lambda: gateway.http.get("/v1/models/internal/card").status_code == 200)
        until(lambda: metric(gateway, 'vitrine_model_card_unreadable{model="internal",version="1"}') == 0)
        assert "internal" not in str(gateway.http.get("/readyz").json()["notes"])
        gateway.program.wait_for("model internal card of version 1: recovered")
    finally:
        describing.answers["internal"] = broken


def test_a_probe_without_a_key_gets_no_names(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = keys_file.create(file, "one", frozenset({"secret_one"}))[1]
    answers = dict.fromkeys(("secret_one", "secret_two"), string(b"{"))
    flags = ("--models=secret_one,secret_two", f"--keys={file}")
    with (
        stub.serving(Describing(answers)) as address,
        programs.gateway(address, tmp_path / "none", *flags) as gateway,
    ):
        programs.wait_until_ready(gateway, *answers)
        anonymous = gateway.http.get("/readyz")
        assert anonymous.status_code == 200
        assert "2 of 2 models" in anonymous.text and "secret" not in anonymous.text
        known = gateway.http.get("/readyz", headers={"Authorization": f"Bearer {key}"}).text
        assert "model secret_one version 1" in known and "1 of 2 models" in known and "secret_two" not in known
