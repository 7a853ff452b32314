"""The list of a model's versions, loaded or not, and the files of a version."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.artifacts import rollout
from serving.artifacts.registry import ModelRegistry
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import until
from tests.serving.gateway.programs import Gateway

PLOT = picture(side=8)
SHADE = "/v1/models/shade/versions"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four versions of shade: the live one, a canary, one that is not loaded, and one without a readable card."""
    root = tmp_path_factory.mktemp("exports")
    for number in (1, 2, 3, 4):
        served_models.shade(root, number)
    extra = root / "shade" / "1" / "assets.extra"
    for name in ("history.png", "references.png"):
        (extra / name).write_bytes(PLOT)
    (root / "secret.png").write_bytes(PLOT)
    (extra / "linked.png").symlink_to(root / "secret.png")
    (root / "shade" / "2" / "assets.extra" / "card.json").write_text("{}")
    (root / "shade" / "2" / "assets.extra" / "MANIFEST.sha256").unlink()
    registry = ModelRegistry(root, settle=0)
    registry.promote("shade", 3)
    rollout.canary(registry, "shade", 4, 25)
    return root


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Gateway]:
    with programs.embedded_gateway(root, "--admin") as gateway:
        programs.wait_until_ready(gateway, "shade")
        until(lambda: gateway.http.get(SHADE).json()["versions"][0]["share"] == 25)
        yield gateway


def test_all_versions_with_state_share_and_card(served: Gateway) -> None:
    listed = served.http.get(SHADE).json()
    assert (listed["model"], listed["admin"]) == ("shade", {"allowed": True, "reason": None})
    versions = {one["version"]: one for one in listed["versions"]}
    assert list(versions) == [4, 3, 2, 1]
    assert {number: (one["state"], one["share"], one["labels"]) for number, one in versions.items()} == {
        4: ("AVAILABLE", 25, ["canary"]),
        3: ("AVAILABLE", 75, ["stable"]),
        2: ("ON_DISK", 0, []),
        1: ("ON_DISK", 0, []),
    }
    assert versions[1]["created"] == versions[3]["created"] == "2026-01-01T00:00:00Z"
    assert versions[1]["files"] == ["history.png", "references.png"] and versions[1]["error"] is None
    assert versions[2]["created"] is None and "the model card cannot be read" in versions[2]["error"]
    assert versions[3]["drift"].keys() >= {"brightness"} and versions[1]["drift"] == {}
    assert versions[3]["quick"] is False and versions[3]["shadow"] == 0
    assert served.http.get("/v1/models/nobody/versions").status_code == 404


def test_tensorflow_serving_s_status_has_its_own_keys_alone(served: Gateway) -> None:
    status = served.http.get("/v1/models/shade").json()
    assert status.keys() == {"model_version_status"}
    assert [one["version"] for one in status["model_version_status"]] == ["4", "3"]


def test_the_card_of_a_version_that_is_not_loaded(served: Gateway) -> None:
    assert served.http.get(f"{SHADE}/1/card").json()["model"] == "shade"
    assert served.http.get(f"{SHADE}/9/card").status_code == 404


def test_a_file_is_a_picture_that_may_be_cached(served: Gateway) -> None:
    response = served.http.get(f"{SHADE}/1/files/references.png")
    assert response.content == PLOT
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert np.asarray(Image.open(io.BytesIO(response.content))).shape == (8, 8)
    assert served.http.head(f"{SHADE}/1/files/references.png").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "shade/versions/1/files/card.json",
        "shade/versions/1/files/linked.png",
        "shade/versions/1/files/nothing.png",
        "shade/versions/1/files/..%2Fassets.extra%2Fhistory.png",
        "shade/versions/1/files/%2E%2E%2Fhistory.png",
        "shade/versions/1/files/HISTORY.PNG",
        "shade/versions/1/files/history.png%00",
        "shade/versions/9/files/history.png",
        "nobody/versions/1/files/history.png",
        "%2E%2E/versions/1/files/history.png",
    ],
)
def test_nothing_else_is_sent(served: Gateway, path: str) -> None:
    response = served.http.get(f"/v1/models/{path}")
    assert response.status_code == 404, response.text
    assert "error" in response.json()
