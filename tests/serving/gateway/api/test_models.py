"""The list of models, and model cards."""

import httpx

from serving.artifacts.model_card import ModelCard


def test_the_list(http: httpx.Client) -> None:
    models = {model["name"]: model for model in http.get("/v1/models").json()["models"]}
    assert models["shade"] == {
        "name": "shade",
        "kind": "image",
        "title": "The shade of tests",
        "default_version": 1,
        "classes": ["dark", "middle", "light"],
        "verbs": ["predict", "embed", "neighbours"],
        "versions": [{"version": 1, "state": "AVAILABLE", "labels": ["stable"]}],
        "problem": None,
    }
    assert models["trend"]["verbs"] == ["predict", "forecast"]
    assert models["line"]["kind"] is None
    assert models["line"]["verbs"] == []


def test_cards(http: httpx.Client) -> None:
    for suffix in ("", "/versions/1", "/labels/stable"):
        card = ModelCard.model_validate(http.get(f"/v1/models/shade{suffix}/card").json())
        assert card.labels == ("dark", "middle", "light")
    for path, word in (("nobody", "nobody"), ("shade/versions/2", "version 2"), ("line", "no model card")):
        answer = http.get(f"/v1/models/{path}/card")
        assert answer.status_code == 404
        assert word in answer.json()["error"]
    assert http.get("/v1/models/shade/versions/x/card").status_code == 400
