"""The CI and release workflows, and `make images`: actionlint finds nothing, and each image is built."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import REPOSITORY
from tests.sdks import environments

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
RELEASE: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text())
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
_LINT = """
const [modules, ...files] = process.argv.slice(1);
const { createLinter } = require(`${modules}/actionlint`);
const { readFileSync } = require("node:fs");
const read = (file) => readFileSync(file, "utf8");
createLinter().then((lint) => console.log(JSON.stringify(files.flatMap((file) => lint(read(file), file)))));
"""


@pytest.mark.timeout(600)  # the packages of Node may be installed first
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: 'echo ${{ github.nothing }}'}]\n"
    )
    command = ["node", "--eval", _LINT, "--", str(environments.node_modules()), *map(str, WORKFLOWS), str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one for one in found if one["file"] != str(wrong)] == []
    assert "nothing" in found[0]["message"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_scripts_are_valid_bash(path: Path) -> None:
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for script in (step["run"] for step in job.get("steps", ()) if "run" in step):
            assert "${{" not in script, "expressions go through env: a value must not become part of the script"
            done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=10)
            assert not done.stderr, done.stderr


def test_the_release_has_every_image() -> None:
    """A target with an entry point or command of its own is an image; trainer and trainer-gpu share theirs."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    images = {name for stage in stages if "LABEL" in stage for name in re.findall(r"\A\S+ AS (\S+)", stage)}
    images = images - {"training"} | {"trainer"}
    built = {entry["image"]: entry["platforms"] for entry in RELEASE["jobs"]["images"]["strategy"]["matrix"]["include"]}
    assert built.keys() == images
    amd64_only = {name for name, platforms in built.items() if "arm64" not in platforms}
    assert amd64_only == {"trainer-gpu", "model-server", "model-server-gpu"}


def test_a_lock_file_rebuilds_its_own_image_only() -> None:
    copied = re.findall(r"^COPY requirements/(\S+\.lock) ", DOCKERFILE, re.MULTILINE)
    assert copied == [
        f"{name}.lock" for name in re.findall(r"^FROM build AS packages-(\S+)$", DOCKERFILE, re.MULTILINE)
    ]


@pytest.mark.parametrize(
    ("machine", "has_tensorflow_serving"), [("x86_64", True), ("aarch64", False), ("arm64", False)]
)
def test_make_images_builds_what_the_machine_can(tmp_path: Path, machine: str, has_tensorflow_serving: bool) -> None:
    uname = tmp_path / "uname"
    uname.write_text(f"#!/bin/sh\necho {machine}\n")
    uname.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    printed = subprocess.check_output(["make", "--dry-run", "images"], cwd=REPOSITORY, env=env, text=True)
    images = re.findall(r"for image in (.*?);", printed)[0].split()
    assert ("model-server" in images) == has_tensorflow_serving
    assert {"server", "gateway", "embedded-server", "sync", "trainer"} <= {*images}
