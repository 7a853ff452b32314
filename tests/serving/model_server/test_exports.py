"""The shipped models, run from their ONNX exports and by TensorFlow."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.artifacts import model_card, models_config
from serving.artifacts.model_card import ModelCard
from serving.tfs_api import messages
from tests.conftest import SHIPPED
from tests.programs import EXPORTS, shipped
from tests.serving.model_server import versions
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import Server, configure, serving

LABELS = "--allow_version_labels_for_unavailable_models"


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """For the shipped models alone, as the repository's models.config has them."""
    entries = models_config.read(EXPORTS / "models.config")
    config = configure(tmp_path_factory.mktemp("config"), [entries[model] for model in SHIPPED])
    return [f"--model_config_file={config}", f"--mount=/models={EXPORTS}", LABELS]


@pytest.fixture(scope="module")
def server(flags: list[str]) -> Iterator[Server]:
    with serving(*flags) as running:
        yield running


@pytest.fixture(scope="module")
def tensorflow(flags: list[str]) -> Iterator[Client]:
    with serving(*flags, "--engine=tensorflow") as running:
        yield running.client


def inputs(card: ModelCard) -> dict[str, np.ndarray]:
    """Five rows that the model could be sent."""
    random = np.random.default_rng(0)
    if card.image:
        shape = card.image.height, card.image.width, card.image.channels
        return {"image": random.integers(0, 256, (5, *shape), np.uint8)}
    assert card.series
    start = card.inputs["history"].mean if "history" in card.inputs else 0.0
    return {"history": (start + random.normal(size=(5, card.series.window))).astype(np.float32)}


def test_every_shipped_model_is_available_and_needs_no_tensorflow(server: Server) -> None:
    for model in SHIPPED:
        assert set(server.client.states(model).values()) == {"AVAILABLE"}
    assert server.program.output.count("(ONNX export, ") == len(SHIPPED)
    process = Path(f"/proc/{server.program.process.pid}")
    assert "libtensorflow" not in (process / "maps").read_text()
    resident = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 120 * 1024


@pytest.mark.parametrize("model", SHIPPED)
def test_describe(server: Server, model: str) -> None:
    (text,) = server.client.predict(model, "describe", query=np.array([""]))["card"]
    assert model_card.parse(text) == model_card.read(shipped(model))
    assert model_card.parse(text).model == model


@pytest.mark.parametrize("model", SHIPPED)
def test_both_engines_return_the_same_outputs(server: Server, tensorflow: Client, model: str) -> None:
    known = model_card.read(shipped(model))
    sent = inputs(known)
    for signature, entry in known.signatures.items():
        if signature in ("describe", "serving_bytes"):
            continue
        rows = dict(sent)
        if "horizon" in entry.inputs:
            rows["horizon"] = np.array([1, 3, 2, 3, 1], np.int32)
        if "k" in entry.inputs:
            rows["k"] = np.array([1, 10, 2, 3, 1], np.int32)
        quick = server.client.predict(model, signature, **rows)
        slow = tensorflow.predict(model, signature, **rows)
        assert quick.keys() == slow.keys() == entry.outputs.keys()
        for name, values in quick.items():
            scale = max(1.0, float(np.abs(slow[name]).max()))
            gap = 1e-3 if name == "typicality" else 1e-5  # a rank between distances amplifies rounding
            np.testing.assert_allclose(values / scale, slow[name] / scale, atol=gap, err_msg=f"{signature}.{name}")
    assert tensorflow.predict(model, "describe", query=np.array([""])) == server.client.predict(
        model, "describe", query=np.array([""])
    )


def refusal(client: Client, request: messages.PredictRequest) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        client.send(request)
    return refused.value.code().name, refused.value.details()


@pytest.mark.parametrize("model", SHIPPED)
def test_both_engines_reject_the_same_inputs_with_the_same_message(
    server: Server, tensorflow: Client, model: str
) -> None:
    ((name, rows),) = inputs(model_card.read(shipped(model))).items()
    bad = {
        "a dimension too few": ("", {name: rows[0]}, []),
        "a size that does not fit": ("", {name: rows[:, :1]}, []),
        "another type": ("", {name: rows.astype(np.float64)}, []),
        "no input": ("", {}, []),
        "one input too many": ("", {name: rows, "more": rows}, []),
        "an input of another name": ("", {"other": rows}, []),
        "no such signature": ("nosuch", {name: rows}, []),
        "no such output": ("", {name: rows}, ["nosuch"]),
        "an output twice": ("", {name: rows}, ["probabilities", "probabilities"]),
        "text where numbers are due": ("", {name: np.array(["a"])}, []),
    }
    for case, (signature, arrays, outputs) in bad.items():
        request = versions.predict_request(model, signature, **arrays)
        request.output_filter.extend(outputs)
        assert refusal(server.client, request) == refusal(tensorflow, request), case
    request = versions.predict_request(model, **{name: rows})
    request.inputs[name].tensor_content = request.inputs[name].tensor_content[:-1]
    assert refusal(server.client, request) == refusal(tensorflow, request)
    assert refusal(tensorflow, request) == ("INVALID_ARGUMENT", f"tensor parsing error: {name}")


def test_warm_up_requests_were_replayed(server: Server) -> None:
    lines = [line for line in server.program.output.splitlines() if "warm-up requests)" in line]
    assert lines
    assert not any("(ONNX export, 0 warm-up requests)" in line for line in lines)
