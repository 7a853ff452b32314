"""Manifests of `vitrine k8s`: valid, and with the rules of k8s/."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from tests.k8s.test_manifests import K8S, VERSIONS, check_rules, kustomize, validate
from training.cli.kubernetes import k8s
from training.core.catalogue import JOBS
from training.core.errors import WorkerLost
from training.deploy import kubernetes

Manifest = dict[str, Any]

#: All options at once. A Job and a CronJob with them, with one pod and with several, are in the tests of each.
EVERY_OPTION = (
    *("--image", "registry.example:5000/team/trainer-gpu:1", "--pull-secret", "registry", "--namespace", "team-a"),
    *("--cpu", "3500m", "--memory", "12Gi", "--mig", "1g.10gb", "--queue", "team-a", "--priority-class", ""),
    *("--storage-class", "nfs", "--store-secret", "exports-store", "--signing-secret", "signing"),
    *("--run", "first", "--workers", "3", "--label", "canary"),
)


def vitrine(*arguments: str, kind: str = "job") -> Result:
    return CliRunner().invoke(k8s, [kind, *arguments])


def printed(*arguments: str, kind: str = "job", overlay: str = "cpu") -> tuple[Manifest, ...]:
    """The manifests, which are valid and keep the rules of k8s/ beside an overlay."""
    done = vitrine(*arguments, kind=kind)
    assert done.exit_code == 0, done.output
    manifests = tuple(yaml.safe_load_all(done.stdout))
    for version in VERSIONS:
        validate(manifests, version)
    if "--priority-class" not in arguments:
        check_rules((*kustomize(K8S / f"overlays/{overlay}"), *manifests))
    return manifests


def job_spec(work: Manifest) -> Manifest:
    spec: Manifest = work["spec"]["jobTemplate"]["spec"] if work["kind"] == "CronJob" else work["spec"]
    return spec


@pytest.mark.parametrize(
    "arguments", [(), ("--gpu", "--quick"), ("--schedule", "0 3 * * *", "--label", "canary")], ids=" ".join
)
def test_manifests_are_valid_and_keep_the_rules(arguments: tuple[str, ...]) -> None:
    work = printed("fashion_cnn", *arguments)[-1]
    spec = job_spec(work)
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert work["kind"] == ("CronJob" if "--schedule" in arguments else "Job")
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == ("--gpu" in arguments)
    assert "affinity" not in pod  # nodes of plain device plugins, and of groups scaled to zero, have no labels for it
    assert container["image"].startswith("vitrine/trainer-gpu:" if "--gpu" in arguments else "vitrine/trainer:")
    assert container["args"][0] == "fashion_cnn"
    assert ("canary" in container["args"]) == ("canary" in arguments)
    assert spec["activeDeadlineSeconds"] == kubernetes.LONGEST_FIT
    assert "suspend" not in spec
    assert container["resources"]["requests"].items() >= {"memory": "2Gi", "ephemeral-storage": "1Gi"}.items()


@pytest.mark.parametrize("schedule", [(), ("--schedule", "0 3 * * mon-fri", "--time-zone", "Europe/Berlin")], ids=len)
def test_every_option_at_once(schedule: tuple[str, ...]) -> None:
    account, claim, *_, work = printed("fashion_cnn", *EVERY_OPTION, *schedule)
    assert account["imagePullSecrets"] == [{"name": "registry"}]
    assert claim["spec"]["storageClassName"] == "nfs"
    assert work["metadata"]["name"] == "train-fashion-cnn-first"
    assert work["metadata"]["namespace"] == "team-a"
    holder = work["spec"]["jobTemplate"] if schedule else work
    assert holder["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    spec = job_spec(work)
    assert spec["suspend"] is True and spec["parallelism"] == 3
    if schedule:
        assert (work["spec"]["schedule"], work["spec"]["timeZone"]) == ("0 3 * * mon-fri", "Europe/Berlin")
    pod = spec["template"]["spec"]
    assert "priorityClassName" not in pod
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    # Without ephemeral-storage: a queue that does not count it would never start the Job.
    resources = {"cpu": "3500m", "memory": "12Gi", "nvidia.com/mig-1g.10gb": 1}
    assert pod["containers"][0]["resources"] == {"requests": resources, "limits": resources}
    assert pod["containers"][0]["args"][-2:] == ["--label", "canary"]


def test_tensorflow_starts_as_many_threads_as_the_pod_has_processors() -> None:
    (container,) = printed("sine_rnn", "--cpu", "3500m")[-1]["spec"]["template"]["spec"]["containers"]
    threads = next(one for one in container["env"] if one["name"] == "TF_NUM_INTRAOP_THREADS")
    assert threads["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}  # rounded up: 4


def test_a_gpu_of_another_vendor() -> None:
    pod = printed("sine_rnn", "--gpu-resource", "amd.com/gpu", "--image", "trainer-rocm:1")[-1]["spec"]["template"][
        "spec"
    ]
    assert pod["containers"][0]["resources"]["limits"]["amd.com/gpu"] == 1
    assert [one["key"] for one in pod["tolerations"]] == ["amd.com/gpu"]


@pytest.mark.parametrize("kind", ["job", "sweep"])
def test_a_job_applied_again_is_a_new_job_that_resumes_the_run(kind: str) -> None:
    arguments = ("fashion_cnn", *(("--storage-secret", "sweeps") if kind == "sweep" else ()))
    (*before, first), (*after, second) = (printed(*arguments, kind=kind) for _ in range(2))
    names = [work["metadata"].pop("name") for work in (first, second)]
    assert names[0] != names[1] and all(
        name.startswith(f"{'train' if kind == 'job' else kind}-fashion-cnn-") for name in names
    )
    assert (before, first) == (after, second)  # the same checkpoints, the same study


def test_jobs_with_other_arguments_have_other_names() -> None:
    """The template of a Job is immutable: a second one of the same name would be refused."""
    works = [printed("forecaster", "--as", name)[-1] for name in ("sales", "sales", "visits_2")]
    names = [work["metadata"]["name"] for work in works]
    assert len({*names}) == 3
    assert [name.rpartition("-")[0] for name in names] == ["train-sales", "train-sales", "train-visits-2"]


def test_nobody_waits_for_tensorflow() -> None:
    """Printing manifests imports no package of the training itself; its address is printed on standard error."""
    program = """if True:
        import sys
        from serving.cli.main import app
        app(["k8s", "job", "fashion_metric", "--run", "one"], standalone_mode=False)
        found = {"tensorflow", "keras", "optuna", "scipy", "matplotlib", "onnxruntime", "pyarrow"} & sys.modules.keys()
        assert not found, found
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [one["kind"] for one in yaml.safe_load_all(done.stdout)][-1] == "Job"
    assert "kubectl -n vitrine logs -f job/train-fashion-metric-one" in done.stderr


def test_volumes_for_one_node() -> None:
    """The claims are those of the overlay laptop. A claim's access mode cannot be changed, so the names differ."""
    claim, *_, work = printed("sine_rnn", "--access-mode", "ReadWriteOnce", overlay="laptop")[1:]
    assert claim["metadata"]["name"] == "training-rwo" and claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    volumes = work["spec"]["template"]["spec"]["volumes"]
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "emptyDir" not in volume}
    assert claims == {"training-rwo", "exports-rwo"}


def test_data_of_the_pods() -> None:
    path = "/var/lib/vitrine/training/pictures"
    args = printed("image_classifier", "--data-dir", path, "--as", "parts")[-1]["spec"]["template"]["spec"][
        "containers"
    ][0]["args"]
    assert args[-4:] == ["--data-dir", path, "--as", "parts"]


@pytest.mark.parametrize("arguments", [(), ("--schedule", "0 3 * * *")], ids=" ".join)
def test_workers_of_a_job_can_reach_each_other(arguments: tuple[str, ...]) -> None:
    manifests = printed("fashion_cnn", "--workers", "3", *arguments)
    work, service, policy = manifests[-1], manifests[-3], manifests[-2]
    spec = job_spec(work)
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
        if "fieldRef" in variable.get("valueFrom", {}):
            field = variable["valueFrom"]["fieldRef"]["fieldPath"]
            environment[variable["name"]] = labels[field.split("/")[1].rstrip("']")]
        elif "value" in variable:
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
    manifests = printed("fashion_cnn", *secrets, *arguments, overlay="production")
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
    manifests = printed("fashion_cnn", "--workers", "4", "--storage-secret", "sweeps", "--trials", "9", kind="sweep")
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
        (("fashion_cnn", "--schedule", "0 3 * * 7"), "its day of the week is 7"),
        (("fashion_cnn", "--schedule", "@daily", "--time-zone", "Berlin"), "such as Europe/Berlin"),
        (("fashion_cnn", "--time-zone", "Europe/Berlin"), "--schedule is missing"),
        (("fashion_metric", "--workers", "2"), "its loss compares the examples of a batch"),
        (("fashion_cnn", "--workers", "0"), "Invalid value for '--workers'"),
        (("fashion_cnn", "--workers", "2", "--access-mode", "ReadWriteOnce"), "several pods need ReadWriteMany"),
        (("fashion_cnn", "--image", "registry:5000/trainer"), "a fixed tag is expected"),
        (("fashion_cnn", "--image", "trainer:latest"), "a fixed tag is expected"),
        (("fashion_cnn", "--cpu", "four"), "--cpu is 'four'; processors are expected, such as 4 or 500m"),
        (("fashion_cnn", "--cpu", "0"), "--cpu is '0'"),
        (("fashion_cnn", "--cpu", "8Gi"), "--cpu is '8Gi'"),
        (("fashion_cnn", "--cpu", "-1"), "--cpu is '-1'"),
        (("fashion_cnn", "--memory", "8"), "--memory is '8'; at least 256Mi with a unit is expected"),
        (("fashion_cnn", "--memory", "8GB"), "--memory is '8GB'"),
        (("fashion_cnn", "--memory", "8000000000000m"), "--memory is '8000000000000m'"),
        (("fashion_cnn", "--mig", "10gb"), "a profile of the card is expected, such as 1g.5gb"),
        (("fashion_cnn", "--mig", "1g.10gb", "--gpu-resource", "nvidia.com/gpu"), "give one of them"),
        (("fashion_cnn", "--gpu-resource", "gpu"), "--gpu-resource is 'gpu'"),
        (("fashion_cnn", "--queue", "Team A"), "--queue is 'Team A'; lower-case letters"),
        (("fashion_cnn", "--signing-secret", "my_key"), "--signing-secret is 'my_key'"),
        (("fashion_cnn", "--run", "A_1"), "the Job's name would be train-fashion-cnn-A_1"),
        (("fashion_cnn", "--run", "a" * 60), "at most 58"),
        (("fashion_cnn", "--run", "a" * 40, "--schedule", "@daily"), "at most 52"),
        (("xo_cnn", "--data-dir", "pictures"), "a path on the claim training is expected, such as"),
        (("xo_cnn", "--data-dir", "/var/lib/vitrine/training/../../x"), "which the pods do not have"),
        (("forecaster", "--csv", "/home/me/sales.csv"), "/var/lib/vitrine/training/sales.csv"),
        (("fashion_cnn", "--params", "best.json"), "--params is best.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_invalid_arguments_are_errors(arguments: tuple[str, ...], error: str) -> None:
    done = vitrine(*arguments)
    assert done.exit_code in (1, 2) and done.stdout == ""
    assert error in done.stderr
