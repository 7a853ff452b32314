"""Each alert has a page in the operations handbook, and each page an alert."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from tests.programs import REPOSITORY, free_port, running

HANDBOOK = REPOSITORY / "docs/operations"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (HANDBOOK / "runbooks").glob("*.md")}


def alerts() -> dict[str, str]:
    """Return the severity of each alert in the repository, by name."""
    found = {}
    for path in [*(REPOSITORY / "k8s").rglob("*.yaml"), *(REPOSITORY / "monitoring").rglob("*.y*ml")]:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            groups = document.get("spec", document).get("groups", []) if isinstance(document, dict) else []
            for rule in (rule for group in groups for rule in group.get("rules", []) if "alert" in rule):
                found[rule["alert"]] = rule["labels"]["severity"]
    return found


def test_alerts_and_pages_have_the_same_names() -> None:
    assert len(PAGES) >= 8
    assert alerts().keys() == PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_answers_the_questions_of_an_operator(name: str) -> None:
    page = PAGES[name]
    assert page.startswith(f"# {name}\n\n**Severity: {alerts()[name]}.** ")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == ["Check", "Likely causes", "What to do", "Escalate"]


def test_the_handbook_lists_each_alert_with_its_severity() -> None:
    index = (HANDBOOK / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", index, re.MULTILINE)
    assert dict(rows) == alerts()


def test_the_checks_work(exports: Path) -> None:
    """Each ``curl`` of the pages finds what it looks for on a gateway that has answered a request."""
    checks = [line for page in PAGES.values() for line in re.findall(r"^\$ (curl (?:.*\\\n)*.*)$", page, re.MULTILINE)]
    assert len(checks) >= len(PAGES)
    url = f"http://127.0.0.1:{(port := free_port())}"
    with running(
        "-m", "serving.gateway", f"--exports={exports}", f"--port={port}", "--workers=2", ready="workers serve"
    ):
        picture = (REPOSITORY / "examples/ankle_boot.png").read_bytes()
        assert httpx.post(f"{url}/v1/models/fashion_cnn:predict", content=picture).status_code == 200
        for check in checks:
            command = check.replace("http://127.0.0.1:8000", url)
            done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=30)
            assert done.returncode == 0 and done.stdout, f"{check}: {done.stdout}{done.stderr}"
