"""The pod that copies models fits Kubernetes' schemas, the namespace's rules and the claim of ``k8s/base``."""

import kubernetes_validate
import pytest
import yaml

from tests.k8s.test_manifests import K8S, VERSIONS
from tests.programs import REPOSITORY

POD = yaml.safe_load((REPOSITORY / "examples/kubernetes/copy-pod.yaml").read_text())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_pod_is_valid(version: str) -> None:
    kubernetes_validate.validate(POD, version, strict=True)


def test_the_namespace_admits_the_pod() -> None:
    """Pod Security Standard "restricted", which the namespace enforces."""
    spec = POD["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_pod_writes_to_the_claim_as_the_user_of_the_others() -> None:
    claim = yaml.safe_load((K8S / "base/exports.yaml").read_text())
    assert POD["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    model_server = list(yaml.safe_load_all((K8S / "base/model-server.yaml").read_text()))[2]
    security = model_server["spec"]["template"]["spec"]["securityContext"]
    assert {**POD["spec"]["securityContext"], "fsGroupChangePolicy": "OnRootMismatch"} == security
