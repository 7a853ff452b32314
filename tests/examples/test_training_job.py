"""``examples/training_job.py`` publishes a model, and its tutorial shows the same code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import REPOSITORY
from tests.serving.gateway.programs import embedded_gateway, wait_until_ready

SCRIPT = REPOSITORY / "examples/training_job.py"


def test_it_publishes_a_model_that_answers(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "VITRINE_EXPORTS"}
    env |= {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "published as version 1" in done.stdout
    with embedded_gateway(tmp_path / ".vitrine/exports") as gateway:
        wait_until_ready(gateway, "coffee")
        answer = gateway.http.post(
            "/v1/models/coffee:predict", json={"features": {"start": 85, "room": 20, "minutes": 10}}
        )
        assert answer.json()["predictions"][0]["value"] == pytest.approx(20 + 65 * 2.71828**-0.3, abs=1.5)
        outside = gateway.http.post(
            "/v1/models/coffee:predict", json={"features": {"start": 85, "room": 20, "minutes": 100}}
        )
        assert outside.status_code == 400 and "must be 0 to 60 min" in outside.json()["error"]


def test_the_tutorial_shows_the_program() -> None:
    page = (REPOSITORY / "docs/tutorials/training-job.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert _lines("\n".join(shown)) == _lines(SCRIPT.read_text(encoding="utf-8"))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
