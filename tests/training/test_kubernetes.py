"""The manifests that `vitrine k8s job` prints, held to what those of k8s/ are held to."""

import subprocess
import sys

import pytest
import yaml

from tests.k8s.test_manifests import K8S, VERSIONS, hold_to_rules, kustomize, validate
from training.catalogue import JOBS


def vitrine(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.cli", "k8s", "job", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "arguments", [(), ("--gpu", "--quick"), ("--schedule", "0 3 * * *", "--label", "canary")], ids=" ".join
)
def test_manifests_are_valid_and_keep_the_rules(arguments: tuple[str, ...]) -> None:
    done = vitrine("fashion_cnn", *arguments)
    assert done.returncode == 0, done.stderr
    manifests = tuple(yaml.safe_load_all(done.stdout))
    for version in VERSIONS:
        validate(manifests, version)
    hold_to_rules((*kustomize(K8S / "overlays/cpu"), *manifests))
    work = manifests[-1]
    spec = work["spec"]["jobTemplate"]["spec"] if work["kind"] == "CronJob" else work["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert work["kind"] == ("CronJob" if "--schedule" in arguments else "Job")
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == ("--gpu" in arguments)
    assert container["image"].startswith("vitrine/trainer-gpu:" if "--gpu" in arguments else "vitrine/trainer:")
    assert container["args"][0] == "fashion_cnn"
    assert ("canary" in container["args"]) == ("canary" in arguments)


def test_every_job_has_a_name_that_kubernetes_takes() -> None:
    for name in JOBS:
        assert name.replace("_", "-").replace("-", "").isalnum() and name == name.lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fashion_xnn",), "there is no job fashion_xnn; there are:"),
        (("fashion_cnn", "--schedule", "daily"), "five fields"),
        (("fashion_cnn", "--image", "registry:5000/trainer"), "no fixed tag"),
        (("fashion_cnn", "--image", "trainer:latest"), "no fixed tag"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], said: str) -> None:
    done = vitrine(*arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr
