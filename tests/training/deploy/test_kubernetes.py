"""Manifests of `vitrine k8s`: valid, and with the rules of k8s/."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.k8s.test_manifests import K8S, VERSIONS, check_rules, kustomize, validate
from training.core.catalogue import JOBS
from training.core.errors import WorkerLost
from training.deploy import kubernetes


def vitrine(*arguments: str, kind: str = "job") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.cli.main", "k8s", kind, *arguments]
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
    check_rules((*kustomize(K8S / "overlays/cpu"), *manifests))
    work = manifests[-1]
    spec = work["spec"]["jobTemplate"]["spec"] if work["kind"] == "CronJob" else work["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert work["kind"] == ("CronJob" if "--schedule" in arguments else "Job")
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == ("--gpu" in arguments)
    assert container["image"].startswith("vitrine/trainer-gpu:" if "--gpu" in arguments else "vitrine/trainer:")
    assert container["args"][0] == "fashion_cnn"
    assert ("canary" in container["args"]) == ("canary" in arguments)
    assert spec["activeDeadlineSeconds"] == kubernetes.LONGEST_FIT


@pytest.mark.parametrize("arguments", [(), ("--schedule", "0 3 * * *")], ids=" ".join)
def test_workers_of_a_job_can_reach_each_other(arguments: tuple[str, ...]) -> None:
    done = vitrine("fashion_cnn", "--workers", "3", *arguments)
    assert done.returncode == 0, done.stderr
    manifests = tuple(yaml.safe_load_all(done.stdout))
    for version in VERSIONS:
        validate(manifests, version)
    check_rules((*kustomize(K8S / "overlays/cpu"), *manifests))
    work, service, policy = manifests[-1], manifests[-3], manifests[-2]
    spec = work["spec"]["jobTemplate"]["spec"] if work["kind"] == "CronJob" else work["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["activeDeadlineSeconds"] == kubernetes.LONGEST_FIT
    template = spec["template"]
    assert service["spec"]["clusterIP"] == "None" and service["metadata"]["name"] == template["spec"]["subdomain"]
    ours = template["metadata"]["labels"]
    assert service["spec"]["selector"] == ours
    assert policy["spec"]["podSelector"]["matchLabels"] == ours
    assert policy["spec"]["ingress"][0]["from"] == [{"podSelector": {"matchLabels": ours}}]
    port = template["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]

    # The environment of pod 2 as the kubelet expands it and training reads it.
    labels = {"job-name": "train-fashion-cnn", "job-completion-index": "2"}
    environment: dict[str, str] = {}
    for variable in template["spec"]["containers"][0]["env"]:
        if "valueFrom" in variable:
            field = variable["valueFrom"]["fieldRef"]["fieldPath"]
            environment[variable["name"]] = labels[field.split("/")[1].rstrip("']")]
        else:
            value = variable["value"]
            for name, earlier in environment.items():
                value = value.replace(f"$({name})", earlier)
            environment[variable["name"]] = value
    config = json.loads(environment["TF_CONFIG"])
    assert config["task"] == {"type": "worker", "index": 2}
    assert config["cluster"]["worker"][2] == f"train-fashion-cnn-2.{service['metadata']['name']}:{port}"
    assert len(config["cluster"]["worker"]) == 3


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=" ".join)
def test_with_an_object_store_a_job_publishes_there_and_signs(arguments: tuple[str, ...]) -> None:
    """The production overlay has no claim for exports."""
    secrets = ("--store-secret", "exports-store", "--signing-secret", "signing")
    done = vitrine("fashion_cnn", *secrets, *arguments)
    assert done.returncode == 0, done.stderr
    manifests = tuple(yaml.safe_load_all(done.stdout))
    for version in VERSIONS:
        validate(manifests, version)
    check_rules((*kustomize(K8S / "overlays/production"), *manifests))
    pod = manifests[-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:3] == ["fashion_cnn", "--exports", "$(EXPORTS)"]
    assert container["envFrom"] == [{"secretRef": {"name": "exports-store"}}]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "signing"]
    assert env["VITRINE_SIGNING_KEY"] == f"{mount['mountPath']}/signing.pem"
    assert "EXPORTS" not in env and len(env) == len(container["env"])
    assert {volume["name"] for volume in pod["volumes"]} == {"training", "tmp", "signing"}


def test_failure_policies_use_the_exit_codes_of_training() -> None:
    work = kubernetes.job("sine_rnn", [], kubernetes.Trainer("trainer:1"), workers=2)[-1]
    rules = work["spec"]["podFailurePolicy"]["rules"]
    codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule}
    assert codes == {"Ignore": [WorkerLost.EXIT_CODE], "FailJob": [2]}


def test_a_sweep_runs_in_several_pods_with_its_address_in_a_secret() -> None:
    done = vitrine("fashion_cnn", "--workers", "4", "--storage-secret", "sweeps", "--trials", "9", kind="sweep")
    assert done.returncode == 0, done.stderr
    manifests = tuple(yaml.safe_load_all(done.stdout))
    for version in VERSIONS:
        validate(manifests, version)
    check_rules((*kustomize(K8S / "overlays/cpu"), *manifests))
    spec = manifests[-1]["spec"]
    assert spec["parallelism"] == spec["completions"] == 4
    assert spec["activeDeadlineSeconds"] == kubernetes.LONGEST_SWEEP
    container = spec["template"]["spec"]["containers"][0]
    assert container["args"][:2] == ["sweep", "fashion_cnn"] and container["args"][-2:] == ["--trials", "9"]
    assert "--storage" not in container["args"]
    storage = next(variable for variable in container["env"] if variable["name"] == "VITRINE_STORAGE")
    assert storage["valueFrom"] == {"secretKeyRef": {"name": "sweeps", "key": "url"}}


def test_every_job_has_a_valid_kubernetes_name() -> None:
    for name in JOBS:
        assert name.replace("_", "-").replace("-", "").isalnum() and name == name.lower()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("fashion_xnn",), "there is no job fashion_xnn; there are:"),
        (("fashion_cnn", "--schedule", "daily"), "five fields"),
        (("fashion_metric", "--workers", "2"), "its loss compares the examples of a batch"),
        (("fashion_cnn", "--workers", "0"), "Invalid value for '--workers'"),
        (("fashion_cnn", "--image", "registry:5000/trainer"), "a fixed tag is expected"),
        (("fashion_cnn", "--image", "trainer:latest"), "a fixed tag is expected"),
    ],
)
def test_invalid_arguments_are_errors(arguments: tuple[str, ...], error: str) -> None:
    done = vitrine(*arguments)
    assert done.returncode in (1, 2) and done.stdout == ""
    assert error in done.stderr
