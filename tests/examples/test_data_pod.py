"""The pod that copies data to a cluster: the claim and the path are those of the training pods."""

import kubernetes_validate
import yaml

from tests.k8s.test_manifests import VERSIONS
from tests.programs import REPOSITORY
from training.deploy import kubernetes


def test_the_pod_writes_where_training_reads() -> None:
    claim, pod = yaml.safe_load_all((REPOSITORY / "examples/kubernetes/data-pod.yaml").read_text())
    for version in VERSIONS:
        kubernetes_validate.validate(claim, version, strict=True)
        kubernetes_validate.validate(pod, version, strict=True)
    _, printed, *_, work = kubernetes.job("xo_cnn", [], kubernetes.Trainer("trainer:1"))
    assert claim == printed
    trainer, copier = work["spec"]["template"]["spec"], pod["spec"]
    (mount,) = copier["containers"][0]["volumeMounts"]
    assert mount in trainer["containers"][0]["volumeMounts"]
    assert copier["securityContext"]["runAsUser"] == trainer["securityContext"]["runAsUser"]
